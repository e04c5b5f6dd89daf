internal import ChunkCodec
internal import Platform
internal import RepositoryCore
internal import RepositoryFormat
internal import SnapshotTree
internal import Synchronization

/// A snapshot in one place of the mount.
final class SnapshotView: Sendable {
  /// As in the numbers of its nodes.
  let number: UInt64
  let role: ViewRole
  let reader: SnapshotReader
  let content: FileContentReader
  let inodes: InodeRange
  /// Tells the nodes of this view from those of another that had the same number at an earlier mount.
  let generation: UInt64
  /// The directory that its root's `..` leads to.
  let above: UInt64
  /// What it is a part of, in the role of a union.
  let union: DayUnion?

  init(
    _ number: UInt64, _ role: ViewRole, _ reader: SnapshotReader, _ inodes: InodeRange, above: UInt64,
    union: DayUnion?
  ) {
    self.number = number
    self.role = role
    self.reader = reader
    self.inodes = inodes
    self.above = above
    self.union = union
    content = FileContentReader(tree: reader.tree, keySet: reader.snapshot.keySet, believesWriters: true)
    generation = union.map { Self.generation($0.id) } ?? Self.generation(reader.snapshot.id)
  }

  var snapshot: CatalogedSnapshot { reader.snapshot }

  /// 31 bits, and not 0: the kernel holds it in a signed number of 32.
  static func generation(_ id: some Hash256) -> UInt64 { id.w2 & 0x7FFF_FFFF | 1 }
}

/// Which views there are. Whoever knows a number may ask at any time, so all of them follow from the catalog, whether
/// they were looked at or not. What was removed stays until the end of the mount, for those who have it open.
struct ViewTable: Sendable {
  private(set) var snapshots: [UInt64: CatalogedSnapshot] = [:]
  private(set) var unions: [UInt64: (union: DayUnion, member: Int)] = [:]
  private var origins: [ObjectID: (origin: UInt64, inodes: InodeRange)] = [:]
  private var unionsByID: [Digest: DayUnion] = [:]
  private var allocator = InodeAllocator()
  /// Those that were used.
  var views: [UInt64: SnapshotView] = [:]

  /// In the order of the catalog: of two that want the same numbers, the older one gets them.
  mutating func add(_ snapshot: CatalogedSnapshot) {
    guard origins[snapshot.id] == nil else { return }
    var origin = snapshot.id.w0 & NodeNumber.originMask
    while origin == 0 || snapshots[origin] != nil { origin = (origin + 1) & NodeNumber.originMask }
    snapshots[origin] = snapshot
    origins[snapshot.id] = (origin, allocator.allocate(snapshot.id, snapshot.record))
  }

  /// What several snapshots of a day make together; the same for the same ones.
  mutating func union(_ host: String, _ day: String, _ members: [CatalogedSnapshot]) -> DayUnion {
    let id = SHA256.hash(members.flatMap { $0.id.bytes })
    if let known = unionsByID[id] { return known }
    var views: [UInt64] = []
    var origin = id.w0 & NodeNumber.originMask
    for _ in members {
      while origin == 0 || unions[NodeNumber.view(origin: origin, .union)] != nil {
        origin = (origin + 1) & NodeNumber.originMask
      }
      views.append(NodeNumber.view(origin: origin, .union))
      origin = (origin + 1) & NodeNumber.originMask
    }
    let union = DayUnion(id: id, host: host, day: day, members: members, views: views)
    for (member, view) in views.enumerated() { unions[view] = (union, member) }
    unionsByID[id] = union
    return union
  }

  func view(_ id: ObjectID, _ role: ViewRole) -> UInt64? {
    origins[id].map { NodeNumber.view(origin: $0.origin, role) }
  }

  func inodes(_ id: ObjectID) -> InodeRange? { origins[id]?.inodes }
}

extension Namespace {
  func reader(_ snapshot: CatalogedSnapshot) -> SnapshotReader {
    state.withLock { state in
      if let known = state.readers[snapshot.id] { return known }
      let reader = SnapshotReader(snapshot, tree: tree)
      state.readers[snapshot.id] = reader
      return reader
    }
  }

  /// Throws ESTALE for a number that no view has.
  func view(_ number: UInt64) throws -> SnapshotView {
    if let known = state.withLock({ $0.table.views[number] }) { return known }
    guard let role = NodeNumber.role(ofView: number) else { throw Errno.stale }
    let found = state.withLock { state -> (CatalogedSnapshot, DayUnion?, InodeRange)? in
      if role == .union {
        guard let (union, member) = state.table.unions[number] else { return nil }
        let snapshot = union.members[member]
        return state.table.inodes(snapshot.id).map { (snapshot, union, $0) }
      }
      guard let snapshot = state.table.snapshots[NodeNumber.origin(ofView: number)] else { return nil }
      return state.table.inodes(snapshot.id).map { (snapshot, nil, $0) }
    }
    guard let (snapshot, union, inodes) = found else { throw Errno.stale }
    let host = snapshot.record.host
    guard options.host == nil || options.host == host else { throw Errno.stale }
    let isVersion = role == .versions || role == .versionLink
    let view = SnapshotView(
      number, role, reader(snapshot), inodes,
      above: self.number(isVersion ? .versions(host: host) : .host(host)), union: union)
    return state.withLock { state in
      if let other = state.table.views[number] { return other }
      state.table.views[number] = view
      return view
    }
  }

  func view(_ snapshot: CatalogedSnapshot, _ role: ViewRole) throws -> SnapshotView {
    guard let number = state.withLock({ $0.table.view(snapshot.id, role) }) else { throw Errno.stale }
    return try view(number)
  }

  func entry(_ node: UInt64) throws -> (SnapshotView, SnapshotNode) {
    let view = try view(NodeNumber.view(node))
    guard let found = try view.reader.node(NodeNumber.number(node)) else { throw Errno.stale }
    return (view, found)
  }

  /// Names from the root to an entry, with slashes between them; empty for the root.
  func path(of node: SnapshotNode, in reader: SnapshotReader) throws -> [UInt8] {
    var parts: [[UInt8]] = []
    var node = node
    while node.number != 0 {
      guard parts.count < Limits.treeDepthMax, let above = try reader.node(node.parent) else { throw Errno.stale }
      parts.append(node.entry.name)
      node = above
    }
    return Array(parts.reversed().joined(separator: [0x2F]))
  }
}
