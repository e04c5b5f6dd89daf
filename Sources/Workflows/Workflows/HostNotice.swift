internal import Platform
internal import Reporting
package import RepositoryCore
internal import RepositoryFormat
package import SnapshotTree

/// Says so when this host has no snapshots and others have: on a new machine, above all, which may have another name
/// than the one that was lost.
package enum HostNotice {
  /// Where snapshots of all hosts are shown; nil where there is nothing to say.
  package static func sentence(_ catalog: SnapshotCatalog) -> String? {
    catalog.snapshots.isEmpty ? nil : catalog.absence(ofHost: System.hostName)?.description
  }

  /// Where "latest" or a day was taken from another host's snapshots, since no host was named; nil elsewhere.
  package static func sentence(
    _ selector: SnapshotSelector, _ found: CatalogedSnapshot, _ catalog: SnapshotCatalog, host: String?
  ) -> String? {
    guard host == nil, selector.isRelative, let absence = catalog.absence(ofHost: System.hostName) else { return nil }
    return "\(absence.message); \(found.record.name) of the host \(found.record.host) is taken. \(absence.advice)"
  }
}
