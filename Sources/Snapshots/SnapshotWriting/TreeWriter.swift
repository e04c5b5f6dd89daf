package import ChunkCodec
package import RepositoryFormat

/// Where the chunks of a new tree go. One thread at a time.
package protocol ChunkSink: AnyObject {
  /// Stores a chunk unless it is there already.
  func add(_ id: ObjectID, kind: ChunkKind, _ bytes: UnsafeRawBufferPointer) throws
  /// What comes next stands at `position` in the tree, counted in entries.
  func move(to position: UInt64) throws
  /// What comes next belongs to this user.
  func setOwner(_ user: UInt32) throws
}

/// Gives chunks their ids. One thread at a time.
package final class ChunkNamer {
  private let hash = SHA256()
  private let identifier: KeyedHash

  package init(_ keySet: KeySet) { identifier = KeyedHash(key: keySet.record.idKey) }

  /// Begins a chunk whose bytes come in pieces.
  package func start() { hash.start() }
  package func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bytes) }

  /// The id of the chunk whose bytes were given.
  package func finish(_ kind: ChunkKind) -> ObjectID { identifier.chunkID(hash.finish(), kind: kind) }

  /// The id of a chunk, and the SHA-256 of its content.
  package func name(_ bytes: UnsafeRawBufferPointer, _ kind: ChunkKind) -> (id: ObjectID, digest: Digest) {
    let digest = hash.hash(bytes)
    return (identifier.chunkID(digest, kind: kind), digest)
  }
}

/// Stores objects of the tree. One thread at a time.
package struct TreeWriter {
  private let namer: ChunkNamer
  private let sink: any ChunkSink

  package init(_ namer: ChunkNamer, _ sink: any ChunkSink) {
    self.namer = namer
    self.sink = sink
  }

  package func move(to position: UInt64) throws { try sink.move(to: position) }
  package func setOwner(_ user: UInt32) throws { try sink.setOwner(user) }

  package func store(tree bytes: [UInt8]) throws -> ObjectID {
    try bytes.withUnsafeBytes { raw in
      let id = namer.name(raw, .tree).id
      try sink.add(id, kind: .tree, raw)
      return id
    }
  }
}

/// Builds the listing of one directory; entries come in the order of their names. Large listings are cut by content:
/// where a name's hash says so, whatever stands around it, so that a change rewrites one leaf.
package struct ListingBuilder {
  private static let leafEntriesMin = 512
  private static let leafSizeMax = 256 << 10
  private static let branchChildrenMin = 512
  private static let branchChildrenMax = 8192
  private static let boundaryMask: UInt64 = 0x1FF

  private var leaf = LeafBuilder()
  private var children: [Branch.Child] = []
  package private(set) var below: UInt64 = 0

  package init() {}

  /// `entry` comes behind all that came before: nobody looks at that here.
  package mutating func append(_ entry: Entry, _ writer: TreeWriter) throws {
    leaf.append(entry)
    below += 1 + entry.below
    let isBoundary = leaf.count >= Self.leafEntriesMin && Self.hash(entry.name) & Self.boundaryMask == 0
    if isBoundary || leaf.size >= Self.leafSizeMax { try flush(writer) }
  }

  private mutating func flush(_ writer: TreeWriter) throws {
    let (name, count, total) = (leaf.firstName, leaf.count, leaf.total)
    let id = try writer.store(tree: leaf.finish())
    children.append(Branch.Child(firstName: name, count: UInt64(count), total: total, object: id))
  }

  /// The listing's id, and how many entries are below the directory.
  package mutating func finish(_ writer: TreeWriter) throws -> (listing: ObjectID, below: UInt64) {
    if leaf.count > 0 || children.isEmpty { try flush(writer) }
    while children.count > 1 { children = try Self.branches(over: children, writer) }
    return (children[0].object, below)
  }

  private static func branches(over children: [Branch.Child], _ writer: TreeWriter) throws -> [Branch.Child] {
    var out: [Branch.Child] = []
    var group: [Branch.Child] = []
    func flush() throws {
      let id = try writer.store(tree: Branch(children: group).encode())
      out.append(
        Branch.Child(
          firstName: group[0].firstName, count: group.reduce(0) { $0 + $1.count },
          total: group.reduce(0) { $0 + $1.total }, object: id))
      group = []
    }
    for child in children {
      group.append(child)
      let isBoundary = group.count >= branchChildrenMin && hash(child.firstName) >> 9 & boundaryMask == 0
      if isBoundary || group.count >= branchChildrenMax { try flush() }
    }
    if !group.isEmpty { try flush() }
    return out
  }

  /// FNV-1a, 64 bits.
  private static func hash(_ name: [UInt8]) -> UInt64 {
    name.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }
}
