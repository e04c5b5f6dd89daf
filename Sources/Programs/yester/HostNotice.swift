internal import RepositoryFormat
internal import Reporting
internal import Platform
internal import RepositoryCore
internal import SnapshotTree

/// Says so when this host has no snapshots and others have: on a new machine, above all, which may have another name
/// than the one that was lost.
enum HostNotice {
  /// Where snapshots of all hosts are shown.
  static func tell(_ catalog: SnapshotCatalog) {
    if !catalog.snapshots.isEmpty, let absence = catalog.absence(ofHost: System.hostName) {
      Output.note("yester: \(absence)")
    }
  }

  /// Where "latest" or a day was taken from another host's snapshots, since no host was named.
  static func tell(
    _ selector: SnapshotSelector, _ found: CatalogedSnapshot, _ catalog: SnapshotCatalog, host: String?
  ) {
    guard host == nil, selector.isRelative, let absence = catalog.absence(ofHost: System.hostName) else { return }
    Output.note(
      "yester: \(absence.message); \(found.record.name) of the host \(found.record.host) is taken. \(absence.advice)")
  }
}
