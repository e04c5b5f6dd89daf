internal import Platform
package import RepositoryCore
internal import RepositoryFormat
package import SnapshotTree

/// The catalog as `backup_metadata.json`: snapshots in the groups `daily`, `pre_change`, `manual` and
/// `restore_point` (docs/json.md). With millions of files it is written in parts.
package struct CatalogDocument {
  private static let flushSize = 1 << 16
  private let snapshots: [CatalogedSnapshot]
  private let reader: ((CatalogedSnapshot) -> SnapshotReader)?

  /// With a `reader`, which opens a snapshot, every file of every snapshot is listed.
  package init(_ snapshots: [CatalogedSnapshot], files reader: ((CatalogedSnapshot) -> SnapshotReader)?) {
    self.snapshots = snapshots
    self.reader = reader
  }

  /// Gives the text to `put`, piece by piece, in memory that does not grow with the number of files. Throws what `put`
  /// and reading a snapshot throw.
  package func write(to put: ([UInt8]) throws -> Void) throws {
    var json = JSONWriter(indented: true)
    json.beginObject()
    json.field("version", 1)
    json.field("files_included", reader != nil)
    for kind in [SnapshotKind.daily, .preChange, .manual, .restorePoint] {
      json.key(kind.description.map { $0 == "-" ? "_" : String($0) }.joined())
      json.beginObject()
      var taken: Set<String> = []
      for snapshot in snapshots where snapshot.record.kind == kind {
        json.key(Self.key(snapshot, &taken))
        json.beginObject()
        CatalogedSnapshotDocument(snapshot: snapshot).writeMembers(to: &json)
        if let reader { try Self.writeFiles(of: reader(snapshot), &json, put) }
        json.endObject()
        try put(json.drain())
      }
      json.endObject()
    }
    json.endObject()
    try put(json.drain() + [0x0A])
  }

  /// A day for daily ones, with the time when the day has several; the whole name for the others.
  private static func key(_ snapshot: CatalogedSnapshot, _ taken: inout Set<String>) -> String {
    let name = snapshot.record.name
    let first = snapshot.record.kind == .daily ? String(name.prefix(8)) : name
    for candidate in [first, name, "\(name)-\(snapshot.id.short)"] where taken.insert(candidate).inserted {
      return candidate
    }
    return snapshot.id.hex
  }

  private static func writeFiles(
    of reader: SnapshotReader, _ json: inout JSONWriter, _ put: ([UInt8]) throws -> Void
  ) throws {
    json.key("files")
    json.beginObject()
    try reader.walk(from: reader.root) { node, path in
      guard case .file(let size, let content) = node.entry.body else { return true }
      json.key(path)
      json.beginObject()
      json.field("size", size)
      json.field("sha256", optional: content.sha256(size: size))
      json.endObject()
      if json.text.count >= flushSize { try put(json.drain()) }
      return true
    }
    json.endObject()
  }
}

/// A snapshot as the catalog has it, without its files.
private struct CatalogedSnapshotDocument: Document {
  let snapshot: CatalogedSnapshot

  func writeMembers(to json: inout JSONWriter) {
    let record = snapshot.record
    json.field("name", record.name)
    json.field("id", snapshot.id.hex)
    json.field("host", record.host)
    json.field("plan", record.plan)
    json.field("created", record.start.iso8601(offset: record.utcOffset))
    json.field("expires", optional: snapshot.pinnedUntil?.iso8601(offset: record.utcOffset))
    json.field("status", record.counts.unreadable == 0 ? "complete" : "incomplete")
    json.field("verified", snapshot.verified != nil)
    json.field("verified_by", optional: snapshot.verified?.by)
    json.field("verified_date", optional: snapshot.verified?.time.iso8601(offset: record.utcOffset))
    json.field("description", record.summary)
    json.field("purpose", record.purpose)
    json.field("change_ticket", record.changeTicket)
    json.field("creator", record.creator)
    json.field("notes", record.notes)
    json.field("tags", strings: record.tags)
    json.field("retention", retention)
  }

  private var retention: String {
    if snapshot.isPinned { return "pinned" }
    if snapshot.pinnedUntil != nil { return "pinned until the date in \"expires\"" }
    switch snapshot.record.kind {
    case .preChange where snapshot.verified == nil: return "kept until it is verified"
    case .restorePoint where !snapshot.isConfirmed: return "kept until it is confirmed"
    default: return "by the rules of rotation"
    }
  }
}
