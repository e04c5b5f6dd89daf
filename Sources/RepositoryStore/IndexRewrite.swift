internal import Platform
package import RepositoryFormat

/// Putting a new segment of the index in the place of others.
extension Repository {
  /// Stores one segment with the packs of `segments` that `keep` wants and with `condemned`, and deletes the others.
  /// The new one is there before the old ones go.
  package func replaceIndexSegments(
    _ segments: [IndexSegment], condemned: [ObjectID: Int64], keep: (_ pack: ObjectID) -> Bool
  ) throws {
    var builder = IndexSegmentBuilder()
    builder.condemned = condemned.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    for segment in segments {
      do { try builder.add(segment, keep: keep) } catch {
        throw YesterError.damaged("The index segment \(segment.id.short)", error)
      }
      builder.replaced.append(segment.id)
    }
    // What an interrupted run had replaced and not deleted would come to life again with its replacement gone.
    let left = Set(segments.flatMap(\.replaced)).intersection(try store.ids(.index))
    builder.replaced += left.subtracting(builder.replaced).sorted()
    _ = try builder.store(in: store, keyring)
    for id in builder.replaced { try store.delete(.index(id)) }
    try index.refresh()
  }

  private static let mergeCount = 8
  /// Chunks of a segment that merging makes at most: they are sorted in memory, 40 bytes each.
  private static let mergedChunksMax = 2_000_000
  private static let smallSegment = 4096

  /// Each run adds a segment; this joins eight of like size whenever there are so many, so that their number grows
  /// with the logarithm of the repository. Runs of other writers at the same time do no harm: at worst two segments
  /// say the same.
  package func mergeIndexSegments() throws {
    try index.refresh()
    while true {
      let levels = Dictionary(grouping: index.current.segments) { Self.level($0.chunkCount) }
      guard
        let group = levels.sorted(by: { $0.key < $1.key }).map(\.value).first(where: {
          $0.count >= Self.mergeCount && $0.reduce(0) { $0 + $1.chunkCount } <= Self.mergedChunksMax
        })
      else { return }
      try replaceIndexSegments(group, condemned: try condemned(in: group)) { _ in true }
    }
  }

  /// Segments up to 4,096 chunks are one level; from there on a level is eight times the one below.
  private static func level(_ chunks: Int) -> Int {
    var level = 0
    var limit = smallSegment
    while chunks >= limit {
      level += 1
      limit *= 8
    }
    return level
  }

  /// Condemnations that the segments name, and those of their packs that others name: a pack must never be listed
  /// without its condemnation, whichever segment goes first.
  private func condemned(in segments: [IndexSegment]) throws -> [ObjectID: Int64] {
    let all = index.current.condemned
    if all.isEmpty { return [:] }
    var out: [ObjectID: Int64] = [:]
    for segment in segments {
      for (pack, _) in segment.condemned { out[pack] = all[pack] }
      do throws(FormatError) {
        for place in 0..<segment.packCount {
          let pack = try segment.pack(place).id
          if let since = all[pack] { out[pack] = since }
        }
      } catch { throw YesterError.damaged("The index segment \(segment.id.short)", error) }
    }
    return out
  }
}
