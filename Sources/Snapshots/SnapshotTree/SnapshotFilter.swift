internal import Platform
package import Reporting
package import RepositoryCore
internal import RepositoryFormat

/// Which snapshots a command is about. What was asked for and is not there is an error that says what there is, so
/// that a mistyped name is not taken for "nothing to do".
package struct SnapshotFilter: Sendable {
  /// "latest", or beginnings of names or ids; none takes all. Each has to mean something.
  package var names: [String]
  package var host: String?
  package var plan: String?
  /// Only those that have all of these.
  package var tags: [String]

  package init(names: [String] = [], host: String? = nil, plan: String? = nil, tags: [String] = []) {
    self.names = names
    self.host = host
    self.plan = plan
    self.tags = tags
  }

  /// Oldest first. In a repository without snapshots an empty list; otherwise error 1 when there are none.
  package func select(from catalog: SnapshotCatalog) throws(YesterError) -> [CatalogedSnapshot] {
    if catalog.snapshots.isEmpty { return [] }
    if let host, let absence = catalog.absence(ofHost: host) { throw absence }
    var left = catalog.snapshots.filter { host == nil || $0.record.host == host }
    let whose = host.map { " of the host \($0)" } ?? ""
    if let plan {
      let plans = Set(left.map(\.record.plan)).sorted()
      left.removeAll { $0.record.plan != plan }
      guard !left.isEmpty else {
        throw YesterError(
          .failed, "There are no snapshots of the plan \"\(plan)\"\(whose)",
          advice: "There are some of: \(Self.list(plans)).")
      }
    }
    if !names.isEmpty { left = try named(left, catalog) }
    guard !tags.isEmpty else { return left }
    let known = Set(left.flatMap(\.record.tags)).sorted()
    let wanted = Set(tags)
    left.removeAll { !wanted.isSubset(of: $0.record.tags) }
    guard !left.isEmpty else {
      throw YesterError(
        .failed, "No snapshot\(whose) has the \(tags.count == 1 ? "tag" : "tags") \(Self.list(tags))",
        advice: known.isEmpty ? "None has any." : "There are the tags: \(Self.list(known)).")
    }
    return left
  }

  private func named(
    _ snapshots: [CatalogedSnapshot], _ catalog: SnapshotCatalog
  ) throws(YesterError) -> [CatalogedSnapshot] {
    // This host's, where it has some: as "latest" means elsewhere.
    let own = snapshots.filter { $0.record.host == System.hostName }
    let pool = own.isEmpty ? snapshots : own
    let latest = pool.filter { $0.record.kind != .restorePoint }.withCredibleTimes.last ?? pool.last
    var chosen: Set<ObjectID> = []
    for name in names {
      let found =
        name == "latest"
        ? latest.map { [$0] } ?? []
        : snapshots.filter {
          !name.isEmpty && ($0.record.name.hasPrefix(name) || (name.utf8.count >= 4 && $0.id.hex.hasPrefix(name)))
        }
      guard !found.isEmpty else {
        throw YesterError(
          .failed, catalog.removal(of: name) ?? "There is no snapshot \"\(name)\"",
          advice: "\"yester list\" without a name shows all.")
      }
      chosen.formUnion(found.map(\.id))
    }
    return snapshots.filter { chosen.contains($0.id) }
  }

  private static let namedMax = 20

  private static func list(_ names: [String]) -> String {
    let shown = names.prefix(namedMax).map { String(printable(Array($0.utf8)).dropFirst()) }.joined(separator: ", ")
    return names.count > namedMax ? shown + " and \(names.count - namedMax) more" : shown
  }
}
