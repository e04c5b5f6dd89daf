internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat
internal import SnapshotTree

/// Which chunks the snapshots use: a bit for each chunk of the index. Memory: an eighth of a byte a chunk, and an id
/// for each directory.
///
/// Of a chunk that lies in several places one counts, so that the others can go; but only one that is to be relied on: it
/// is there, and by a full writer, by this one, or verified. Where there is none such, every place counts, and nothing
/// goes: which of them holds the chunk is not known.
final class UsageMap {
  private let view: IndexView
  /// Packs that others come before: they are condemned, or this run empties them.
  private let secondChoice: Set<ObjectID>
  private var bits: [[UInt64]]
  private var visited: Set<ObjectID> = []
  private(set) var markedSnapshots: Set<ObjectID> = []

  init(_ index: ChunkIndex) {
    view = index.current
    secondChoice = Set(view.condemned.packs.keys).union(index.avoided)
    bits = view.segments.map { [UInt64](repeating: 0, count: ($0.chunkCount + 63) / 64) }
  }

  /// Marks all that a snapshot needs. Throws when something is missing: whoever reclaims must not go on then.
  /// How many entries were gone through for it.
  @discardableResult
  func mark(_ reader: SnapshotReader, _ progress: RunProgress) throws -> UInt64 {
    var marked: UInt64 = 0
    markedSnapshots.insert(reader.snapshot.id)
    let content = FileContentReader(tree: reader.tree, keySet: reader.snapshot.keySet)
    guard case .directory(_, let rootListing) = reader.root.entry.body else { return 0 }
    try markListing(rootListing, reader.tree)
    try reader.walk(from: reader.root) { node, _ in
      try progress.throwIfStopped()
      progress.add(entries: 1)
      marked += 1
      switch node.entry.body {
      case .directory(_, let listing):
        if node.number == 0 { return true }
        return try markListing(listing, reader.tree)
      case .file(let size, let body):
        if case .lists(_, let lists) = body { try markLists(lists, reader.tree) }
        try content.forEachPiece(of: body, size: size, from: 0) { _, piece in
          if let chunk = piece.chunk { try mark(chunk) }
          return true
        }
        return true
      default: return true
      }
    }
    return marked
  }

  /// False when it was marked before, with all below it.
  @discardableResult
  private func markListing(_ listing: ObjectID, _ tree: TreeStore) throws -> Bool {
    guard visited.insert(listing).inserted else { return false }
    for object in try tree.objects(of: listing) { try mark(object) }
    return true
  }

  private func markLists(_ lists: [ContentListReference], _ tree: TreeStore) throws {
    for reference in lists {
      guard visited.insert(reference.list).inserted else { continue }
      try mark(reference.list)
      if case .lists(_, let inner) = try tree.contentList(reference.list, covering: reference.length) {
        try markLists(inner, tree)
      }
    }
  }

  private func mark(_ id: ObjectID) throws {
    if let place = try view.trusted(id, { secondChoice.isEmpty || !secondChoice.contains($0.pack) }) {
      return mark(place)
    }
    var places: [ChunkPlace] = []
    try view.forEachPlace(of: id) { places.append($0) }
    if let place = places.first(where: { $0.rank == .trusted }) { return mark(place) }
    let present = places.filter { $0.rank != .absent }
    // A pack that is not there any more is the last resort: what is left of the listing of it may serve once more.
    for place in present.isEmpty ? places : present { mark(place) }
    guard places.isEmpty else { return }
    throw YesterError(
      .damaged, "The chunk \(id.short), which a snapshot needs, is not in the index",
      advice: "Nothing was deleted. Run \"yester verify\" to see what is affected.")
  }

  private func mark(_ place: ChunkPlace) { bits[place.segment][place.index / 64] |= 1 << UInt64(place.index % 64) }

  private func isMarked(_ index: Int, in segment: Int) -> Bool {
    bits[segment][index / 64] >> UInt64(index % 64) & 1 == 1
  }

  struct PackUse {
    let pack: IndexLayout.Pack
    /// Whether it was there when the packs were listed.
    let isPresent: Bool
    /// Whether a listing that can be relied on tells of it.
    let isBelieved: Bool
    var total: UInt64 = 0
    var used: UInt64 = 0
    var unused: UInt64 { total - used }

    /// What two listings of one pack say together: it is used when one of them says so.
    func joined(_ other: PackUse) -> PackUse {
      var chosen = (isBelieved ? 1 : 0, used) >= (other.isBelieved ? 1 : 0, other.used) ? self : other
      chosen.used = min(chosen.total, max(used, other.used))
      return chosen
    }
  }

  /// For each pack of the index, how many plain bytes it holds and how many of them are used.
  func packs() throws -> [ObjectID: PackUse] {
    var out: [ObjectID: PackUse] = [:]
    for (number, segment) in view.segments.enumerated() {
      let isBelieved = view.isBelieved(number)
      var uses: [PackUse] = []
      for index in 0..<segment.packCount {
        let isPresent = view.rank(ofPack: index, in: number) != .absent
        uses.append(PackUse(pack: try segment.pack(index), isPresent: isPresent, isBelieved: isBelieved))
      }
      for index in 0..<segment.chunkCount {
        if index.isMultiple(of: 1 << 16) { segment.releaseMemory() }
        let chunk = segment.chunk(index)
        // What a stranger's segment says wrongly must not keep anybody from reclaiming space.
        guard let pack = try? segment.block(chunk.block).pack else {
          if isBelieved { _ = try segment.block(chunk.block) }
          continue
        }
        uses[pack].total.addClamped(UInt64(chunk.length))
        if isMarked(index, in: number) { uses[pack].used.addClamped(UInt64(chunk.length)) }
      }
      for use in uses where isBelieved || use.isPresent {
        out[use.pack.id] = out[use.pack.id].map { $0.joined(use) } ?? use
      }
    }
    return out
  }

  /// Whether a chunk found in a pack's directory is used.
  func isUsed(_ id: ObjectID) throws -> Bool {
    var isUsed = false
    try view.forEachPlace(of: id) { place in isUsed = isUsed || isMarked(place.index, in: place.segment) }
    return isUsed
  }
}
