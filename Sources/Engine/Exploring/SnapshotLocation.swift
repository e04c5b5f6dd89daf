internal import RepositoryFormat
internal import Platform
package import Reporting
package import RepositoryCore
package import SnapshotTree

/// A repository opened for looking at what its snapshots hold. All readers share one cache of listings.
package final class Explorer: Sendable {
  package let repository: Repository
  package let catalog: SnapshotCatalog
  package let tree: TreeStore
  private let lease: Lease?

  /// `purpose` completes "a write-only key cannot …". A long look takes a lease, so that nothing it may need is
  /// deleted meanwhile; a read-only repository does without.
  package init(_ repository: Repository, purpose: String, takesLease: Bool = true) throws(YesterError) {
    try repository.requireFullKey(purpose)
    self.repository = repository
    lease = takesLease ? try Lease.take(repository, .read, isRequired: false) : nil
    catalog = try repository.readCatalog()
    tree = TreeStore(reader: repository.reader)
  }

  package func close() { lease?.release() }

  package func reader(_ snapshot: CatalogedSnapshot) -> SnapshotReader { SnapshotReader(snapshot, tree: tree) }

  /// What the user named: `SNAPSHOT` or `SNAPSHOT:path`. `defaultPath` stands where no path was given.
  package func locate(
    _ selector: SnapshotSelector, host: String? = nil, defaultPath: [UInt8] = []
  ) throws(YesterError) -> SnapshotLocation {
    let path = Self.normal(selector.hasPath ? selector.path : defaultPath)
    let reader = reader(try selector.find(in: catalog, host: host, holding: path))
    guard let node = try reader.node(at: path) else {
      throw YesterError(
        .failed,
        "The snapshot \(reader.snapshot.record.name) holds no \(printable(path))",
        advice: "Look with \"yester ls\" or \"yester find\", or with \"yester versions\" which snapshots hold it."
      )
    }
    return SnapshotLocation(reader: reader, node: node, path: path)
  }

  /// A path without empty components and `.`, and without a slash at either end.
  package static func normal(_ path: [UInt8]) -> [UInt8] {
    Array(path.split(separator: 0x2F).filter { !$0.elementsEqual([0x2E]) }.joined(separator: [0x2F]))
  }

  /// The snapshots of one host, oldest first: of the one named; else of this machine; else, on a machine that has
  /// none itself, of the only host there is.
  package func snapshots(ofHost host: String?) throws(YesterError) -> (host: String, snapshots: [CatalogedSnapshot]) {
    let hosts = Set(catalog.snapshots.map(\.record.host)).sorted()
    let chosen: String
    if let host {
      chosen = host
    } else if hosts.contains(System.hostName) || hosts.count != 1 {
      chosen = System.hostName
    } else {
      chosen = hosts[0]
    }
    if let absence = catalog.absence(ofHost: chosen) { throw absence }
    return (chosen, catalog.snapshots.filter { $0.record.host == chosen })
  }
}

/// An entry of a snapshot, and where it is.
package struct SnapshotLocation: Sendable {
  package let reader: SnapshotReader
  package let node: SnapshotNode
  /// From the root, without a slash in front; empty for the root.
  package let path: [UInt8]

  /// The whole of a snapshot.
  package init(_ reader: SnapshotReader) { self.init(reader: reader, node: reader.root, path: []) }

  fileprivate init(reader: SnapshotReader, node: SnapshotNode, path: [UInt8]) {
    self.reader = reader
    self.node = node
    self.path = path
  }

  /// The path of something below.
  package func path(of relative: [UInt8]) -> [UInt8] {
    path.isEmpty || relative.isEmpty ? path + relative : path + [0x2F] + relative
  }
}
