internal import Platform
internal import RepositoryCore
package import RepositoryFormat

/// Which chunks snapshots need: all of their listings, content lists and files. One thread. What several directories or
/// snapshots have in common is gone through once; memory: an id for each directory.
package struct NeededChunks {
  private var visited: Set<ObjectID> = []

  package init() {}

  /// Calls `body` with each chunk that a snapshot needs and that did not come before as a part of the same directory or
  /// list; `entry` with each entry. Throws what these throw, and `YesterError`, and goes on with nothing then.
  package mutating func forEach(
    of reader: SnapshotReader, entry: () throws -> Void = {}, _ body: (ObjectID, ChunkKind) throws -> Void
  ) throws {
    let content = FileContentReader(tree: reader.tree, keySet: reader.snapshot.keySet)
    guard case .directory(_, let rootListing) = reader.root.entry.body else { return }
    try take(listing: rootListing, reader.tree, body)
    try reader.walk(from: reader.root) { node, _ in
      try entry()
      switch node.entry.body {
      case .directory(_, let listing): return try node.number == 0 || take(listing: listing, reader.tree, body)
      case .file(let size, let file):
        if case .lists(_, let lists) = file { try take(lists: lists, reader.tree, body) }
        try content.forEachPiece(of: file, size: size, from: 0) { _, piece in
          if let chunk = piece.chunk { try body(chunk, .data) }
          return true
        }
        return true
      default: return true
      }
    }
  }

  /// False when it came before, with all below it.
  @discardableResult
  private mutating func take(
    listing: ObjectID, _ tree: TreeStore, _ body: (ObjectID, ChunkKind) throws -> Void
  ) throws -> Bool {
    guard visited.insert(listing).inserted else { return false }
    for object in try tree.objects(of: listing) { try body(object, .tree) }
    return true
  }

  private mutating func take(
    lists: [ContentListReference], _ tree: TreeStore, _ body: (ObjectID, ChunkKind) throws -> Void
  ) throws {
    for reference in lists {
      guard visited.insert(reference.list).inserted else { continue }
      try body(reference.list, .tree)
      if case .lists(_, let inner) = try tree.contentList(reference.list, covering: reference.length) {
        try take(lists: inner, tree, body)
      }
    }
  }
}
