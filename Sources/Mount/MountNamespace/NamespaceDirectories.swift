internal import Glibc
internal import Platform
internal import RepositoryCore
internal import SnapshotTree
internal import Synchronization

/// Looking up and listing outside of snapshots.
extension Namespace {
  /// A child of a virtual directory; nil when there is none of that name.
  func child(_ name: [UInt8], of node: VirtualNode) throws -> NodeInfo? {
    let text = String(decoding: name, as: UTF8.self)
    let isText = Array(text.utf8) == name
    switch node {
    case .top: return isText && hostView(text) != nil ? try info(.host(text)) : nil
    case .host(let host):
      guard isText, let view = hostView(host) else { return nil }
      switch text {
      case ".yester": return try info(.yester(host: host))
      case "latest": return view.latest == nil ? nil : try info(.latest(host: host))
      default:
        if let members = view.day(named: text) { return try day(text, members, host) }
        return try view.snapshot(named: text).map { try root($0, .snapshot) }
      }
    case .yester(let host):
      let children: [String: VirtualNode] = [
        "versions": .versions(host: host), "checksums": .checksums(host: host),
        "backup_metadata.json": .metadata(host: host), "stats": .stats(host: host), "health": .health(host: host),
      ]
      return try isText ? children[text].map { try info($0) } : nil
    case .checksums(let host):
      guard isText, text.hasSuffix(".sha256"), !checksumMembers(host, String(text.dropLast(7))).isEmpty else {
        return nil
      }
      return try info(.checksumFile(host: host, name: String(text.dropLast(7))))
    case .versions(let host): return try versionChild(name, of: trail(host, []), host)
    case .latest, .checksumFile, .metadata, .stats, .health: throw Errno.notDirectory
    }
  }

  /// Calls `body` with the children from an index on, sorted by name, and with the index behind each, until it returns
  /// false.
  func forEachChild(
    of node: VirtualNode, from start: UInt64, _ body: (_ name: [UInt8], _ child: NodeInfo, _ next: UInt64) -> Bool
  ) throws {
    if case .versions(let host) = node {
      return try forEachVersion(of: trail(host, []), host, from: start, body)
    }
    let names = try childNames(of: node)
    for index in min(Int(clamping: start), names.count)..<names.count {
      let name = names[index]
      guard let child = try child(name, of: node) else { continue }
      guard body(name, child, UInt64(index) + 1) else { return }
    }
  }

  /// Sorted.
  private func childNames(of node: VirtualNode) throws -> [[UInt8]] {
    if case .host(let host) = node { return hostView(host)?.names ?? [] }
    return try unsortedChildNames(of: node).sorted { $0.precedes($1) }
  }

  private func unsortedChildNames(of node: VirtualNode) throws -> [[UInt8]] {
    switch node {
    case .top: return state.withLock { $0.hosts.keys.map { Array($0.utf8) } }
    case .yester:
      return ["versions", "checksums", "backup_metadata.json", "stats", "health"].map { Array($0.utf8) }
    case .checksums(let host): return checksumNames(host).map { Array("\($0).sha256".utf8) }
    case .host, .versions, .latest, .checksumFile, .metadata, .stats, .health: throw Errno.notDirectory
    }
  }

  private func checksumNames(_ host: String) -> [String] {
    guard let view = hostView(host) else { return [] }
    return view.days.map(\.name) + view.listedSnapshots
  }

  /// The snapshots that a list of checksums covers.
  func checksumMembers(_ host: String, _ name: String) -> [CatalogedSnapshot] {
    let view = hostView(host)
    return view?.day(named: name) ?? view?.snapshot(named: name).map { [$0] } ?? []
  }

  /// The day's tree: the only plan's snapshot, or a union of several.
  private func day(_ name: String, _ members: [CatalogedSnapshot], _ host: String) throws -> NodeInfo? {
    if let union = hostView(host)?.unions[name] { return try unionRoot(union) }
    return try members.first.map { try root($0, .day) }
  }

  private func root(_ snapshot: CatalogedSnapshot, _ role: ViewRole) throws -> NodeInfo {
    let view = try view(snapshot, role)
    return info(view.reader.root, view)
  }
}
