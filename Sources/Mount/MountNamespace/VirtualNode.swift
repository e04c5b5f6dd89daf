internal import RepositoryCore
internal import RepositoryFormat
internal import ObjectStores
internal import ChunkCodec
internal import Documents
internal import Glibc
internal import Platform
internal import SnapshotTree
internal import Synchronization

/// What a mount shows outside of snapshots.
enum VirtualNode: Sendable, Hashable {
  /// The directory of hosts.
  case top
  case host(String)
  case latest(host: String)
  case yester(host: String)
  case versions(host: String)
  case checksums(host: String)
  case checksumFile(host: String, name: String)
  case metadata(host: String)
  case stats(host: String)
  case health(host: String)

  var isDirectory: Bool {
    switch self {
    case .top, .host, .yester, .versions, .checksums: true
    default: false
    }
  }

  /// Tells nodes apart: their number follows from it.
  var key: [UInt8] {
    switch self {
    case .top: Array("top".utf8)
    case .host(let host): Array("host/\(host)".utf8)
    case .latest(let host): Array("latest/\(host)".utf8)
    case .yester(let host): Array("yester/\(host)".utf8)
    case .versions(let host): Array("versions/\(host)".utf8)
    case .checksums(let host): Array("checksums/\(host)".utf8)
    case .checksumFile(let host, let name): Array("checksum/\(host)/\(name)".utf8)
    case .metadata(let host): Array("metadata/\(host)".utf8)
    case .stats(let host): Array("stats/\(host)".utf8)
    case .health(let host): Array("health/\(host)".utf8)
    }
  }
}

extension Namespace {
  /// Gives a virtual node its number, the same at every mount.
  func number(_ node: VirtualNode) -> UInt64 { state.withLock { Self.number(node, &$0) } }

  private static func number(_ node: VirtualNode, _ state: inout State) -> UInt64 {
    if state.virtual[1] == node { return 1 }
    if let known = state.virtualNumbers[node] { return known }
    var number = SHA256.hash(node.key).w0 & NodeNumber.numberMask | 2
    while state.virtual[number] != nil { number = (number + 1) & NodeNumber.numberMask | 2 }
    state.virtual[number] = node
    state.virtualNumbers[node] = number
    return number
  }

  /// Gives numbers to all that is around a host's snapshots, in a fixed order and before anybody asks.
  static func number(_ view: HostView, _ state: inout State) {
    let host = view.host
    for node: VirtualNode in [
      .host(host), .latest(host: host), .yester(host: host), .versions(host: host), .checksums(host: host),
      .metadata(host: host), .stats(host: host), .health(host: host),
    ] { _ = number(node, &state) }
    for name in view.days.map(\.name) + view.snapshots.map(\.name) {
      _ = number(.checksumFile(host: host, name: name), &state)
    }
  }

  func virtual(_ number: UInt64) throws -> VirtualNode {
    guard let node = state.withLock({ $0.virtual[number] }) else { throw Errno.stale }
    return node
  }

  /// Lists of all names are for who mounts alone: others may not look into every directory.
  func info(_ node: VirtualNode) throws -> NodeInfo {
    let number = number(node)
    var time = started
    var size: UInt64 = 0
    var mode = node.isDirectory ? S_IFDIR | 0o555 : S_IFREG | 0o444
    var (user, group) = (geteuid(), getegid())
    var generation: UInt64 = 0
    switch node {
    case .latest(let host):
      let view = hostView(host)
      let target = Array((view?.latest ?? "").utf8)
      mode = S_IFLNK | 0o777
      size = UInt64(target.count)
      // The kernel keeps a link's target with its inode: another target is another inode to it.
      generation = SnapshotView.generation(SHA256.hash(target))
      time = view?.latest.flatMap { view?.snapshot(named: $0)?.record.start } ?? started
    case .host(let host): time = hostView(host)?.snapshots.last?.snapshot.record.start ?? started
    case .versions(let host):
      let access = try trail(host, []).access
      mode = S_IFDIR | access.mode
      (user, group) = (access.user, access.group)
    case .checksums: mode = S_IFDIR | 0o500
    case .checksumFile(let host, let name):
      mode = S_IFREG | 0o400
      for member in checksumMembers(host, name) { size += try checksums.size(reader(member)) }
    case .metadata:
      mode = S_IFREG | 0o400
      // The kernel reads no further than the size says: the file has to be written to be listed.
      size = try generated(number, node).size
    case .stats(let host), .health(let host): size = UInt64(report(number, node, host, isFresh: true).count)
    default: break
    }
    if node.isDirectory { size = 4096 }
    return NodeInfo(
      node: number, inode: number, mode: mode, links: node.isDirectory ? 2 : 1, user: user, group: group,
      size: size, blocks: (size + 511) / 512, modified: time, changed: time, isImmutable: false,
      generation: generation)
  }

  func hostView(_ host: String) -> HostView? { state.withLock { $0.hosts[host] } }

  /// A report's text. What is read is what its size was told of: it changes only with the attributes (`isFresh`),
  /// and for two readers at once not within a moment.
  func report(_ number: UInt64, _ node: VirtualNode, _ host: String, isFresh: Bool = false) -> [UInt8] {
    let now = System.bootClock
    let errors = health.errors.count
    let known = state.withLock { $0.reports[number] }
    if let known, !isFresh || (known.errors == errors && now - known.clock < Self.reportNanoseconds) {
      return known.text
    }
    let text = text(node, host)
    state.withLock { $0.reports[number] = (text, now, errors) }
    return text
  }

  private static let reportNanoseconds: Int64 = 100_000_000

  private func text(_ node: VirtualNode, _ host: String) -> [UInt8] {
    let driver = DriverDocument(
      repository: repository.store.location, repositoryID: repository.config.id.description, mountedSince: started)
    if case .health = node {
      let errors = health.errors
      let document = MountHealthDocument(
        driver: driver, lease: lease?.name, errorCount: errors.count, recentErrors: errors.last)
      return document.text() + [0x0A]
    }
    let document = MountStatisticsDocument(
      driver: driver, counts: (hostView(host)?.snapshots ?? []).map(\.snapshot.record.counts),
      cachedBlockBytes: repository.reader.cache.size, cacheSizeBytes: repository.reader.cache.limit,
      peakMemoryKiB: System.peakMemoryKiB, requests: options.requests?.all ?? [])
    return document.text() + [0x0A]
  }
}
