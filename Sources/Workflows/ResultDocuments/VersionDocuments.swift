package import Documents
package import Exploring
internal import RepositoryCore
internal import RepositoryFormat
package import SnapshotTree

/// The versions of one path, oldest first.
package struct VersionHistoryDocument: Document {
  /// Without a slash in front.
  package let path: [UInt8]
  /// Whose snapshots were looked at.
  package let host: String
  package let versions: [VersionDocument]

  /// `readers` are those of the snapshots that the history was made from.
  package init(_ history: VersionHistory, of path: [UInt8], host: String, in readers: [SnapshotReader]) {
    self.path = path
    self.host = host
    versions = history.runs.map { run in
      VersionDocument(
        entry: run.node?.entry, saysPresence: true, first: run.readers.first.map { readers[$0].snapshot },
        last: run.readers.last.map { readers[$0].snapshot }, snapshots: run.readers.count)
    }
  }

  package func writeMembers(to json: inout JSONWriter) {
    PathDocument(path).writeMembers(to: &json)
    json.field("host", host)
    json.field("versions", array: versions)
  }
}

/// A path that a search has found, with its distinct versions.
package struct MatchDocument: Document {
  /// Without a slash in front.
  package let path: [UInt8]
  package let versions: [VersionDocument]

  /// `places` are those that were searched.
  package init(_ match: SnapshotSearch.Match, in places: [SnapshotPlace]) {
    path = match.path
    versions = match.versions.compactMap { version in
      guard let bounds = version.snapshots.bounds else { return nil }
      return VersionDocument(
        entry: version.entry, saysPresence: false, first: places[bounds.lowerBound].reader.snapshot,
        last: places[bounds.upperBound].reader.snapshot, snapshots: version.snapshots.count)
    }
  }

  package func writeMembers(to json: inout JSONWriter) {
    PathDocument(path).writeMembers(to: &json)
    json.field("versions", array: versions)
  }
}

/// What a path was in one or several snapshots.
package struct VersionDocument: Document {
  /// Nil where the path was not there.
  let entry: Entry?
  /// Whether that is said, too.
  let saysPresence: Bool
  let first: CatalogedSnapshot?
  let last: CatalogedSnapshot?
  let snapshots: Int

  package func writeMembers(to json: inout JSONWriter) {
    if saysPresence { json.field("present", entry != nil) }
    json.field("first", first?.record.name ?? "")
    json.field("first_id", optional: first?.id.hex)
    json.field("last", last?.record.name ?? "")
    json.field("last_id", optional: last?.id.hex)
    json.field("snapshots", snapshots)
    if let entry { EntryDocument(entry).writeMembers(to: &json) }
  }
}
