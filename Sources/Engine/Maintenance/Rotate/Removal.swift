internal import ObjectStores
internal import Platform
package import Reporting
package import RepositoryCore
internal import RepositoryFormat

/// Takes snapshots out of a repository: what rotation has chosen, or what somebody has named.
///
/// The order is what makes it safe. First comes one signed note that names all of them: from then on they are gone
/// for everybody, all or none, and their absence is no damage. Only then are their records deleted, which need not
/// succeed. What they alone needed stays until `Prune` finds that nobody needs it; so no lease is needed here, and
/// a mount or a backup under way loses nothing.
package enum Removal {
  package struct Candidate: Sendable {
    package let snapshot: CatalogedSnapshot
    /// Why no rule of rotation would remove it, in words; empty when one could.
    package let protections: [String]
  }

  // MARK: Choosing

  /// The snapshots that names mean: whole names, beginnings of ids, or a day that has only one. Each of them once,
  /// oldest first. Whatever is unclear is an error that names all of it, and nothing is chosen: what goes must be what
  /// was meant. Throws error 1, or 2 for names that mean something else each time.
  package static func find(
    _ names: [String], host: String?, in catalog: SnapshotCatalog
  ) throws(YesterError) -> [CatalogedSnapshot] {
    if let host, let absence = catalog.absence(ofHost: host) { throw absence }
    let eligible = catalog.snapshots.filter { host == nil || $0.record.host == host }
    var chosen: Set<ObjectID> = []
    var problems: [String] = []
    for name in names {
      try refuseLatest(name, eligible)
      let matches = matches(name, eligible)
      if matches.count == 1 {
        chosen.insert(matches[0].id)
      } else {
        problems.append(problem(name, matches, catalog))
      }
    }
    guard problems.isEmpty else {
      throw YesterError(
        .failed, problems.joined(separator: ". "),
        advice: "Nothing was removed. \"yester list\" shows names and ids.")
    }
    return eligible.filter { chosen.contains($0.id) }
  }

  private static func refuseLatest(_ name: String, _ eligible: [CatalogedSnapshot]) throws(YesterError) {
    guard !name.contains(":") else {
      throw YesterError(
        .usage, "\"\(name)\" names a path in a snapshot, and only whole snapshots can be removed",
        advice: "Leave out the colon and the path.")
    }
    guard name == "latest" else { return }
    let regular = eligible.filter { $0.record.kind != .restorePoint }.withCredibleTimes
    let last = regular.last { $0.record.host == System.hostName } ?? regular.last
    throw YesterError(
      .usage, "\"latest\" is another snapshot after each removal, so that it names none to be removed",
      advice: last.map { "At present it is \($0.record.name) of the host \($0.record.host): use that name." } ?? "")
  }

  private static func matches(_ name: String, _ eligible: [CatalogedSnapshot]) -> [CatalogedSnapshot] {
    let exact = eligible.filter { $0.record.name == name }
    if !exact.isEmpty { return exact }
    guard name.utf8.count >= 4 else { return [] }
    let isDay = isSnapshotDay(name)
    return eligible.filter { $0.id.hex.hasPrefix(name) || (isDay && $0.record.name.hasPrefix(name + "_")) }
  }

  private static let namedMax = 10

  private static func problem(
    _ name: String, _ matches: [CatalogedSnapshot], _ catalog: SnapshotCatalog
  ) -> String {
    if matches.isEmpty { return catalog.removal(of: name) ?? "There is no snapshot \"\(name)\"" }
    let named = matches.prefix(namedMax).map { "\($0.record.name) of \($0.record.host) (\($0.id.short))" }
    let more = matches.count > named.count ? " and \(matches.count - named.count) more" : ""
    return "\"\(name)\" means \(matches.count) snapshots: \(named.joined(separator: ", "))\(more)"
  }

  /// What stands against removing these together.
  package static func candidates(_ snapshots: [CatalogedSnapshot], in catalog: SnapshotCatalog) -> [Candidate] {
    let plans = Set(snapshots.map { [$0.record.host, $0.record.plan] })
    let all = catalog.snapshots.filter { plans.contains([$0.record.host, $0.record.plan]) }
    let protections = RetentionPolicy.protections(
      of: Set(snapshots.map(\.id)), among: all.map { Rotation.candidate($0, among: all) },
      nowSeconds: Timestamp.now().seconds)
    return snapshots.map { Candidate(snapshot: $0, protections: protections[$0.id]?.map(\.description) ?? []) }
  }

  /// Throws error 1 that names what is protected, and why.
  package static func requireUnprotected(_ candidates: [Candidate]) throws(YesterError) {
    let kept = candidates.filter { !$0.protections.isEmpty }
    guard !kept.isEmpty else { return }
    let named = kept.map { "\($0.snapshot.record.name) (\($0.protections.joined(separator: ", ")))" }
    let them = kept.count == 1 ? "it" : "them"
    throw YesterError(
      .failed, "Nothing was removed, for rotation would keep \(named.joined(separator: ", "))",
      advice: "Leave \(them) out, or remove \(them) with --force.")
  }

  // MARK: Removing

  /// Removes what somebody has named and seen. The repository is looked at again: what is gone meanwhile, or protected
  /// now (unless forced), ends it before anything is removed.
  package static func run(_ chosen: [CatalogedSnapshot], _ repository: Repository, force: Bool) throws(YesterError) {
    let catalog = try MissingSnapshots.completeCatalog(repository)
    let present = Set(catalog.snapshots.map(\.id))
    let gone = chosen.filter { !present.contains($0.id) }
    guard gone.isEmpty else {
      throw YesterError(
        .failed, "Somebody else has removed \(gone.map(\.record.name).joined(separator: ", ")) just now",
        advice: "Nothing was removed. Name only those that are left.")
    }
    if !force { try requireUnprotected(candidates(chosen, in: catalog)) }
    try remove(chosen, repository, catalog, reason: "name")
  }

  /// Removes what rules have chosen; what is gone already is left out.
  static func carryOut(_ chosen: [CatalogedSnapshot], _ repository: Repository, reason: String) throws(YesterError) {
    guard !chosen.isEmpty else { return }
    let catalog = try MissingSnapshots.completeCatalog(repository)
    let present = Set(catalog.snapshots.map(\.id))
    try remove(chosen.filter { present.contains($0.id) }, repository, catalog, reason: reason)
  }

  private static func remove(
    _ chosen: [CatalogedSnapshot], _ repository: Repository, _ catalog: SnapshotCatalog, reason: String
  ) throws(YesterError) {
    try repository.requireFullKey("remove snapshots")
    guard !chosen.isEmpty else { return }
    var note = NoteRecord(
      kind: .removed, time: .now(),
      subjects: chosen.map {
        NoteRecord.Subject(snapshot: $0.id, writer: $0.envelope.writer, sequence: $0.record.sequence)
      })
    note.text = reason
    note.names = chosen.map(\.record.name)
    try repository.store(note, after: catalog)
    // What an earlier run could not delete is tried again.
    var failure: YesterError?
    for id in chosen.map(\.id) + catalog.leftovers {
      do throws(YesterError) {
        try repository.store.delete(.snapshot(id))
      } catch {
        failure = failure ?? error
      }
    }
    if let failure {
      throw YesterError(
        .failed, "The snapshots are removed, but not all of their records could be deleted: \(failure.message)",
        advice: "These take hardly any space. The next removal tries it again.", cause: failure.cause)
    }
  }
}
