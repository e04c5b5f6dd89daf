internal import Platform
package import Reporting
package import RepositoryCore
internal import RepositoryFormat

/// How users name a snapshot, and a path in it: `latest`, a day, a name, or the beginning of an id; then perhaps a
/// colon and a path. As everywhere, a path without a slash in front is taken from the working directory.
package struct SnapshotSelector: Sendable {
  package let snapshot: String
  /// From the root, without a slash in front, `.` and `..`; empty for the whole snapshot.
  package let path: [UInt8]
  package let hasPath: Bool
  /// The path is relative, and there is no working directory to take it from.
  private let lacksWorkingDirectory: Bool

  /// `workingDirectory` is the physical path of where relative ones begin; nil when there is none.
  package init(_ text: String, workingDirectory: () -> [UInt8]? = { try? System.resolve([0x2E]) }) {
    guard let colon = text.firstIndex(of: ":") else {
      snapshot = text
      path = []
      hasPath = false
      lacksWorkingDirectory = false
      return
    }
    snapshot = String(text[..<colon])
    hasPath = true
    let given = String(text[text.index(after: colon)...]).pathBytes
    guard let first = given.first, first != 0x2F else {
      path = Self.normal(given)
      lacksWorkingDirectory = false
      return
    }
    let start = workingDirectory()
    lacksWorkingDirectory = start == nil
    path = Self.normal((start ?? []) + [0x2F] + given)
  }

  /// Two dots lead up by name: what a symbolic link was in a snapshot nobody need know.
  private static func normal(_ path: [UInt8]) -> [UInt8] {
    var parts: [ArraySlice<UInt8>] = []
    for part in path.split(separator: 0x2F) where !part.elementsEqual([0x2E]) {
      if part.elementsEqual([0x2E, 0x2E]) { _ = parts.popLast() } else { parts.append(part) }
    }
    return Array(parts.joined(separator: [0x2F]))
  }

  /// The snapshot that is meant; error 1 with what would be possible otherwise.
  ///
  /// For a path (`wantedPath`, or the one of the selector) "latest" and a day mean the last snapshot of sources that
  /// the path belongs to, where there is one: those of other sources, such as a database's dump, say nothing about it.
  package func find(
    in catalog: SnapshotCatalog, host: String? = nil, holding wantedPath: [UInt8]? = nil
  ) throws(YesterError) -> CatalogedSnapshot {
    guard !lacksWorkingDirectory else {
      throw YesterError(
        .failed, "The working directory is not there any more",
        advice: "Give the path behind \"\(snapshot):\" with a slash in front, from the snapshot's root.")
    }
    let all = catalog.snapshots.filter { host == nil || $0.record.host == host }
    // This host's snapshots come first, wherever a name could mean several.
    let own = all.filter { $0.record.host == System.hostName }
    for candidates in host == nil && !own.isEmpty ? [own, all] : [all] {
      if let found = try match(candidates, wantedPath ?? path) { return found }
    }
    if let removal = catalog.removal(of: snapshot) { throw YesterError(.failed, removal) }
    if let absence = catalog.absence(ofHost: host ?? System.hostName), host != nil || catalog.snapshots.isEmpty {
      throw absence
    }
    throw YesterError(
      .failed, "There is no snapshot \"\(snapshot)\"",
      advice:
        "Name one by \"latest\", a day (20261120), its name or the beginning of its id; \"yester list\" shows them.")
  }

  /// As `find`, for what cannot take a path in a snapshot.
  package func findWhole(in catalog: SnapshotCatalog, host: String? = nil) throws(YesterError) -> CatalogedSnapshot {
    guard !hasPath else {
      throw YesterError(.usage, "A whole snapshot is to be named here", advice: "Leave out the colon and the path.")
    }
    return try find(in: catalog, host: host)
  }

  /// Whether what it means depends on whose snapshots are looked at: "latest", or a day.
  package var isRelative: Bool { snapshot == "latest" || isDay }

  private var isDay: Bool { isSnapshotDay(snapshot) }

  private func match(_ candidates: [CatalogedSnapshot], _ wantedPath: [UInt8]) throws(YesterError) -> CatalogedSnapshot?
  {
    func last(_ snapshots: [CatalogedSnapshot]) -> CatalogedSnapshot? {
      snapshots.last { $0.record.mayHold(wantedPath) } ?? snapshots.last
    }
    let regular = candidates.filter { $0.record.kind != .restorePoint }.withCredibleTimes
    if snapshot == "latest" { return last(regular) ?? candidates.last }
    if let exact = candidates.last(where: { $0.record.name == snapshot }) { return exact }
    let ofDay = candidates.filter { $0.record.kind != .restorePoint && $0.record.name.hasPrefix(snapshot + "_") }
    if isDay, let last = last(ofDay.withCredibleTimes) { return last }
    guard snapshot.utf8.count >= 4 else { return nil }
    let byID = candidates.filter { $0.id.hex.hasPrefix(snapshot) }
    guard byID.count < 2 else {
      throw YesterError(
        .failed, "\"\(snapshot)\" is the beginning of \(byID.count) ids", advice: "Give more of the id.")
    }
    return byID.first
  }
}
