internal import RepositoryCore
internal import SnapshotTree
internal import Workflows

extension HostNotice {
  /// Where snapshots of all hosts are shown.
  static func tell(_ catalog: SnapshotCatalog) {
    if let notice = sentence(catalog) { Output.note("yester: \(notice)") }
  }

  /// Where "latest" or a day was taken from another host's snapshots, since no host was named.
  static func tell(
    _ selector: SnapshotSelector, _ found: CatalogedSnapshot, _ catalog: SnapshotCatalog, host: String?
  ) {
    if let notice = sentence(selector, found, catalog, host: host) { Output.note("yester: \(notice)") }
  }
}
