internal import ObjectStores
internal import Platform
package import Reporting
package import RepositoryFormat

/// Putting a new segment of the index in the place of others.
extension Repository {
  /// Stores one segment with the packs of `segments` that `keep` wants, and deletes the others. The new one is there
  /// before the old ones go.
  package func replaceIndexSegments(
    _ segments: [IndexSegment], keep: (_ pack: ObjectID) -> Bool
  ) throws(YesterError) {
    var builder = IndexSegmentBuilder()
    // Two writers may have joined the same segments at once: each pack is taken over once.
    var taken: Set<ObjectID> = []
    for segment in segments {
      do throws(FormatError) {
        try builder.add(segment) { keep($0) && taken.insert($0).inserted }
      } catch {
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
  private static let smallSegment = 4096

  /// Each run adds a segment; this joins eight of like size whenever there are so many, so that their number grows
  /// with the logarithm of the repository. Runs of other writers at the same time do no harm: at worst two segments
  /// say the same until these are joined in turn.
  ///
  /// `chunksMax` are the chunks of a segment that merging makes at most.
  package func mergeIndexSegments(chunksMax: Int = 1_000_000_000) throws(YesterError) {
    try index.refresh()
    while let group = Self.mergeable(index.current.segments, chunksMax) {
      // The local copies have no sums of their own: what goes into the repository for good is read from there again,
      // where its seals and its name are checked.
      guard let fresh = try index.reread(group.map(\.id)) else { return }
      try replaceIndexSegments(fresh) { _ in true }
    }
  }

  /// Segments of one level that should become one: the smallest ones, as many as may be in one.
  private static func mergeable(_ segments: [IndexSegment], _ chunksMax: Int) -> [IndexSegment]? {
    let levels = Dictionary(grouping: segments) { level($0.chunkCount) }
    for (_, members) in levels.sorted(by: { $0.key < $1.key }) where members.count >= mergeCount {
      var group: [IndexSegment] = []
      var chunks = 0
      for segment in members.sorted(by: { ($0.chunkCount, $0.id) < ($1.chunkCount, $1.id) }) {
        chunks += segment.chunkCount
        guard chunks <= chunksMax else { break }
        group.append(segment)
      }
      if group.count >= mergeCount { return group }
    }
    return nil
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
}
