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
  private let versions: [VersionDocument]

  /// `readers` are those of the snapshots that the history was made from.
  package init(_ history: VersionHistory, of path: [UInt8], host: String, in readers: [SnapshotReader]) {
    self.path = path
    self.host = host
    versions = history.runs.map { run in
      VersionDocument(
        entry: run.node?.entry, first: run.readers.first.map { SnapshotName(readers[$0]) },
        last: run.readers.last.map { SnapshotName(readers[$0]) }, snapshots: run.readers.count)
    }
  }

  package func writeMembers(to json: inout JSONWriter) {
    PathDocument(path).writeMembers(to: &json)
    json.field("host", host)
    json.key("versions")
    json.beginArray()
    for version in versions {
      json.beginObject()
      json.field("present", version.entry != nil)
      version.writeMembers(to: &json)
      json.endObject()
    }
    json.endArray()
  }
}

/// A path that a search has found, with its distinct versions.
package struct MatchDocument: Document {
  package let match: SnapshotSearch.Match
  /// Those that were searched.
  package let locations: [SnapshotLocation]

  package init(_ match: SnapshotSearch.Match, in locations: [SnapshotLocation]) {
    self.match = match
    self.locations = locations
  }

  package func writeMembers(to json: inout JSONWriter) {
    PathDocument(match.path).writeMembers(to: &json)
    json.key("versions")
    json.beginArray()
    for version in match.versions {
      guard let bounds = version.snapshots.bounds else { continue }
      json.value(
        VersionDocument(
          entry: version.entry, first: SnapshotName(locations[bounds.lowerBound].reader),
          last: SnapshotName(locations[bounds.upperBound].reader), snapshots: version.snapshots.count))
    }
    json.endArray()
  }
}

/// What a path was in one or several snapshots.
private struct VersionDocument: Document {
  /// Nil where the path was not there.
  let entry: Entry?
  let first: SnapshotName?
  let last: SnapshotName?
  let snapshots: Int

  func writeMembers(to json: inout JSONWriter) {
    json.field("first", first?.name ?? "")
    json.field("first_id", optional: first?.id.hex)
    json.field("last", last?.name ?? "")
    json.field("last_id", optional: last?.id.hex)
    json.field("snapshots", snapshots)
    if let entry { EntryDocument(entry).writeMembers(to: &json) }
  }
}

/// Of a search there are millions, which would take long to copy whole snapshots.
private struct SnapshotName: Sendable {
  let name: String
  let id: ObjectID

  init(_ reader: SnapshotReader) {
    name = reader.snapshot.record.name
    id = reader.snapshot.id
  }
}
