internal import ChunkCodec
internal import Glibc
internal import Platform
internal import RepositoryFormat
internal import RepositoryStore
internal import Synchronization

/// What a mount shows outside of snapshots.
enum VirtualNode: Sendable, Hashable {
  /// The directory of hosts.
  case top
  case host(String)
  case latest(host: String)
  /// A directory of a day that several plans share: the way to their sources.
  case union(host: String, day: String, path: [UInt8])
  case yester(host: String)
  case versions(host: String, path: [UInt8])
  case checksums(host: String)
  case checksumFile(host: String, name: String)
  case metadata(host: String)
  case stats(host: String)
  case health(host: String)

  var isDirectory: Bool {
    switch self {
    case .top, .host, .union, .yester, .versions, .checksums: true
    default: false
    }
  }

  /// Tells nodes apart: their number follows from it.
  var key: [UInt8] {
    switch self {
    case .top: Array("top".utf8)
    case .host(let host): Array("host/\(host)".utf8)
    case .latest(let host): Array("latest/\(host)".utf8)
    case .union(let host, let day, let path): Array("union/\(host)/\(day)/".utf8) + path
    case .yester(let host): Array("yester/\(host)".utf8)
    case .versions(let host, let path): Array("versions/\(host)/".utf8) + path
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
  func number(_ node: VirtualNode) -> UInt64 {
    state.withLock { state in
      if state.virtual[1] == node { return 1 }
      var number = SHA256.hash(node.key).w0 & (NodeNumber.linkBit - 1) | 2
      while let other = state.virtual[number], other != node { number = (number + 1) & (NodeNumber.linkBit - 1) | 2 }
      state.virtual[number] = node
      return number
    }
  }

  func virtual(_ number: UInt64) throws -> VirtualNode {
    guard let node = state.withLock({ $0.virtual[number] }) else { throw Errno.stale }
    return node
  }

  func info(_ node: VirtualNode) throws -> NodeInfo {
    let number = number(node)
    var time = started
    var size: UInt64 = 0
    var mode = node.isDirectory ? S_IFDIR | 0o555 : S_IFREG | 0o444
    switch node {
    case .latest(let host):
      mode = S_IFLNK | 0o777
      size = UInt64(hostView(host)?.latest?.utf8.count ?? 0)
    case .host(let host): time = hostView(host)?.snapshots.last?.snapshot.record.start ?? started
    case .union(let host, let day, let path):
      if let newest = try unionMembers(host, day, path).first {
        var info = info(newest.node, view: newest.view)
        info.node = number
        info.inode = number
        info.isImmutable = false
        return info
      }
    case .checksumFile(let host, let name):
      for member in checksumMembers(host, name) { size += try checksums.size(reader(member)) }
    case .metadata:
      // The kernel reads no further than the size says: the file has to be written to be listed.
      size = try generated(number, node).size
    case .stats(let host), .health(let host): size = UInt64(report(number, node, host, isFresh: true).count)
    default: break
    }
    if node.isDirectory { size = 4096 }
    return NodeInfo(
      node: number, inode: number, mode: mode, links: node.isDirectory ? 2 : 1, user: geteuid(), group: getegid(),
      size: size, blocks: (size + 511) / 512, modified: time, changed: time, isImmutable: false)
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
    var json = JSONWriter(indented: true)
    json.beginObject()
    json.field("repository", repository.store.location)
    json.field("repository_id", repository.config.id.description)
    json.field("driver_version", options.driverVersion)
    json.field("mounted_since", started.iso8601(offset: started.localOffset))
    let errors = health.errors
    if case .health = node {
      json.field("healthy", errors.count == 0)
      json.field("lease", optional: lease?.name)
      json.field("errors_since_start", errors.count)
      json.key("recent_errors")
      json.beginArray()
      for message in errors.last { json.value(message) }
      json.endArray()
    } else {
      json.field("snapshots", hostView(host)?.snapshots.count ?? 0)
      json.field("cached_block_bytes", repository.reader.cache.size)
      json.field("cache_size_bytes", repository.reader.cache.limit)
      json.field("peak_memory_kib", System.peakMemoryKiB)
      json.key("requests")
      json.beginObject()
      for (name, count) in options.requests?.all ?? [] { json.field(name, count) }
      json.endObject()
    }
    json.endObject()
    return json.text + [0x0A]
  }
}
