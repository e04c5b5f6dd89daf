internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat
internal import SnapshotTree

/// Which chunks the snapshots use: a bit for each chunk of the index. Memory: an eighth of a byte a chunk, and an id
/// for each directory.
final class UsageMap {
  private let segments: [IndexSegment]
  /// Condemned or missing packs: what is in them counts only where there is no other copy.
  private let secondChoice: Set<ObjectID>
  private let missing: Set<ObjectID>
  private var bits: [[UInt64]]
  private var visited: Set<ObjectID> = []
  private(set) var markedSnapshots: Set<ObjectID> = []

  init(_ index: ChunkIndex) {
    let view = index.current
    segments = view.segments
    secondChoice = Set(view.condemned.packs.keys).union(view.avoided)
    missing = view.avoided
    bits = segments.map { [UInt64](repeating: 0, count: ($0.chunkCount + 63) / 64) }
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
    var fallback: (number: Int, index: Int)?
    for (number, segment) in segments.enumerated() {
      guard let index = try segment.find(id) else { continue }
      if !secondChoice.isEmpty, secondChoice.contains(try segment.location(index).pack) {
        // A copy in a missing pack is the last resort.
        let isMissing = missing.contains(try segment.location(index).pack)
        if fallback == nil || !isMissing { fallback = (number, index) }
        continue
      }
      bits[number][index / 64] |= 1 << UInt64(index % 64)
      return
    }
    if let (number, index) = fallback {
      bits[number][index / 64] |= 1 << UInt64(index % 64)
      return
    }
    throw YesterError(
      .damaged, "The chunk \(id.short), which a snapshot needs, is not in the index",
      advice: "Nothing was deleted. Run \"yester verify\" to see what is affected.")
  }

  struct PackUse {
    let pack: IndexLayout.Pack
    var total: UInt64 = 0
    var used: UInt64 = 0
    var unused: UInt64 { total - used }
  }

  /// For each pack of the index, how many plain bytes it holds and how many of them are used.
  func packs() throws -> [ObjectID: PackUse] {
    var out: [ObjectID: PackUse] = [:]
    for (number, segment) in segments.enumerated() {
      var uses: [PackUse] = []
      for index in 0..<segment.packCount { uses.append(PackUse(pack: try segment.pack(index))) }
      for index in 0..<segment.chunkCount {
        if index.isMultiple(of: 1 << 16) { segment.releaseMemory() }
        let chunk = segment.chunk(index)
        let pack = try segment.block(chunk.block).pack
        uses[pack].total += UInt64(chunk.length)
        if bits[number][index / 64] >> UInt64(index % 64) & 1 == 1 { uses[pack].used += UInt64(chunk.length) }
      }
      // A pack that several segments list is used when one of them says so.
      for use in uses { out[use.pack.id] = out[use.pack.id].map { $0.used >= use.used ? $0 : use } ?? use }
    }
    return out
  }

  /// Whether a chunk found in a pack's directory is used.
  func isUsed(_ id: ObjectID) throws -> Bool {
    try segments.enumerated().contains { number, segment in
      guard let index = try segment.find(id) else { return false }
      return bits[number][index / 64] >> UInt64(index % 64) & 1 == 1
    }
  }
}
