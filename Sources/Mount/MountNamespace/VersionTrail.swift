internal import Platform
internal import RepositoryFormat
internal import Glibc
internal import SnapshotTree
internal import Synchronization

/// What became of one path, for `.yester/versions`: each distinct version, oldest first.
struct VersionTrail: Sendable {
  struct Step: Sendable {
    /// The first snapshot that shows the version: its index among those of the host.
    let snapshot: Int
    let node: SnapshotNode
  }

  let path: [UInt8]
  private(set) var steps: [Step] = []

  init(_ path: [UInt8]) { self.path = path }

  /// A version that went away and came back unchanged counts once.
  mutating func append(_ step: Step) {
    if let last = steps.last, last.node.entry.isSameVersion(as: step.node.entry) { return }
    steps.append(step)
  }

  /// About how many bytes of memory it takes.
  var memory: Int { 100 + path.count + steps.reduce(0) { $0 + 40 + $1.node.entry.memory } }

  /// Who may read the names in the directory that stands for the path: whoever could have read them in each of the
  /// snapshots. An access list may only take away.
  var access: (mode: UInt32, user: UInt32, group: UInt32) {
    let directories = steps.map(\.node.entry).filter(\.isDirectory)
    guard let owner = directories.last?.owner else { return (0o555, geteuid(), getegid()) }
    guard directories.allSatisfy({ $0.owner.user == owner.user }) else { return (0o500, geteuid(), getegid()) }
    var mode: UInt32 = 0o555
    for directory in directories {
      mode &= directory.permissions
      let isListed = directory.attributes.contains { $0.name == Array("system.posix_acl_access".utf8) }
      if isListed || directory.owner.group != owner.group { mode &= ~0o070 }
    }
    return (mode, owner.user, owner.group)
  }
}

struct VersionKey: Hashable, Sendable {
  let host: String
  let path: [UInt8]
  /// Of the catalog.
  let generation: UInt64
}

extension Namespace {
  /// A path's versions. Each follows from those of the directory above, which are few on most ways: a directory that
  /// did not change is looked at once, however many snapshots share it.
  func trail(_ host: String, _ path: [UInt8]) throws -> VersionTrail {
    let (generation, view) = state.withLock { ($0.generation, $0.hosts[host]) }
    guard let view else { return VersionTrail(path) }
    let parts = path.split(separator: 0x2F)
    // Begins at the nearest directory that is known.
    var depth = parts.count
    var known: VersionTrail?
    while depth > 0 {
      let prefix = Array(parts[..<depth].joined(separator: [0x2F]))
      known = trails[VersionKey(host: host, path: prefix, generation: generation)]
      if known != nil { break }
      depth -= 1
    }
    var trail = known ?? rootTrail(view)
    for part in parts[depth...] {
      trail = try child(Array(part), of: trail, view)
      trails.insert(
        VersionKey(host: host, path: trail.path, generation: generation), trail, cost: trail.memory)
    }
    return trail
  }

  private func rootTrail(_ view: HostView) -> VersionTrail {
    var trail = VersionTrail([])
    for (index, (_, snapshot)) in view.snapshots.enumerated() {
      trail.append(VersionTrail.Step(snapshot: index, node: reader(snapshot).root))
    }
    return trail
  }

  private func child(_ name: [UInt8], of trail: VersionTrail, _ view: HostView) throws -> VersionTrail {
    var out = VersionTrail(trail.path.isEmpty ? name : trail.path + [0x2F] + name)
    for step in trail.steps where step.node.entry.isDirectory {
      let reader = reader(view.snapshots[step.snapshot].snapshot)
      let found = try name.withUnsafeBytes { try reader.child($0, of: step.node, isRemembered: false) }
      if let found { out.append(VersionTrail.Step(snapshot: step.snapshot, node: found)) }
    }
    return out
  }
}
