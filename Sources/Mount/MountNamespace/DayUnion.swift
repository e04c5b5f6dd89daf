internal import Platform
internal import RepositoryCore
internal import RepositoryFormat
internal import SnapshotTree

/// The snapshots that make up a day together, when several plans ran. Another set is another union: what one shows
/// never changes.
final class DayUnion: Sendable {
  /// Of its members' ids.
  let id: Digest
  let host: String
  let day: String
  /// Newest first.
  let members: [CatalogedSnapshot]
  /// For each of the members the view whose entries stand for directories that it and others after it have.
  let views: [UInt64]

  init(id: Digest, host: String, day: String, members: [CatalogedSnapshot], views: [UInt64]) {
    self.id = id
    self.host = host
    self.day = day
    self.members = members
    self.views = views
  }
}

extension Namespace {
  /// An entry that a member of a union has.
  private typealias Found = (member: Int, node: SnapshotNode)

  /// The root shows the metadata of `/` where a member holds all of it.
  func unionRoot(_ union: DayUnion) throws -> NodeInfo {
    let member = union.members.firstIndex { !$0.record.root.isPartial } ?? 0
    let view = try view(union.views[member])
    return info(view.reader.root, view)
  }

  /// The directories that a union directory unites, newest first. More than one only on the way to sources.
  private func unionMembers(_ union: DayUnion, _ path: [UInt8]) throws -> [Found] {
    try union.members.enumerated().compactMap { index, snapshot in
      guard let node = try reader(snapshot).node(at: path), node.entry.isDirectory else { return nil }
      return (index, node)
    }
  }

  func unionChild(
    _ name: UnsafeRawBufferPointer, of directory: SnapshotNode, _ view: SnapshotView, _ union: DayUnion
  ) throws -> NodeInfo? {
    var found: [Found] = []
    for (member, directory) in try unionMembers(union, path(of: directory, in: view.reader)) {
      if let child = try reader(union.members[member]).child(name, of: directory) { found.append((member, child)) }
    }
    return try unionInfo(found, union)
  }

  /// The newest whole thing wins; where all that have the name only lead on to sources, they are united.
  private func unionInfo(_ found: [Found], _ union: DayUnion) throws -> NodeInfo? {
    let whole = found.first { !$0.node.entry.isPartial }
    guard let first = whole ?? found.first else { return nil }
    if whole != nil || found.count == 1 { return info(first.node, try view(union.members[first.member], .day)) }
    return info(first.node, try view(union.views[first.member]))
  }

  /// Sorted by name.
  func unionChildren(
    of directory: SnapshotNode, _ view: SnapshotView, _ union: DayUnion
  ) throws -> [(name: [UInt8], info: NodeInfo)] {
    var found: [[UInt8]: [Found]] = [:]
    for (member, directory) in try unionMembers(union, path(of: directory, in: view.reader)) {
      try reader(union.members[member]).forEachChild(of: directory) { child, _ in
        found[child.entry.name, default: []].append((member, child))
        return true
      }
    }
    return try found.keys.sorted { $0.precedes($1) }.compactMap { name in
      try unionInfo(found[name] ?? [], union).map { (name, $0) }
    }
  }

  /// The directory above an entry of a union.
  func unionParent(of node: SnapshotNode, _ view: SnapshotView, _ union: DayUnion) throws -> UInt64 {
    guard node.number != 0 else { return view.above }
    guard let above = try view.reader.node(node.parent) else { throw Errno.stale }
    let found = try unionDirectory(above, view.reader, union)
    return found?.node ?? NodeNumber.node(view: view.number, number: above.number)
  }

  /// The directory above an entry that is seen below a day's name: other plans may lead through it as well.
  func dayParent(of node: SnapshotNode, _ view: SnapshotView) throws -> UInt64 {
    let plain = NodeNumber.node(view: view.number, number: node.parent)
    let snapshot = view.snapshot
    guard let union = hostView(snapshot.record.host)?.unions[String(snapshot.record.name.prefix(8))],
      union.members.contains(where: { $0.id == snapshot.id }), let above = try view.reader.node(node.parent),
      above.number == 0 || above.entry.isPartial
    else { return plain }
    return try unionDirectory(above, view.reader, union)?.node ?? plain
  }

  private func unionDirectory(
    _ directory: SnapshotNode, _ reader: SnapshotReader, _ union: DayUnion
  ) throws -> NodeInfo? {
    guard directory.number != 0 else { return try unionRoot(union) }
    return try unionInfo(unionMembers(union, path(of: directory, in: reader)), union)
  }
}
