internal import Platform
package import RepositoryCore
internal import RepositoryFormat
package import SnapshotTree

/// The catalog as `backup_metadata.json`: snapshots in the groups `daily`, `pre_change`, `manual` and
/// `restore_point` (docs/json.md).
package enum MetadataCatalog {
  /// `files` lists every file of every snapshot; `open` gives the reader of one.
  package static func write(
    _ snapshots: [CatalogedSnapshot], files: Bool, open: (CatalogedSnapshot) -> SnapshotReader,
    to put: ([UInt8]) throws -> Void
  ) throws {
    var json = JSONWriter(indented: true)
    json.beginObject()
    json.field("version", 1)
    json.field("files_included", files)
    for kind in [SnapshotKind.daily, .preChange, .manual, .restorePoint] {
      json.key(kind.description.map { $0 == "-" ? "_" : String($0) }.joined())
      json.beginObject()
      var taken: Set<String> = []
      for snapshot in snapshots where snapshot.record.kind == kind {
        json.key(key(snapshot, &taken))
        try write(snapshot, files: files, open, &json, put)
      }
      json.endObject()
    }
    json.endObject()
    try put(json.drain() + [0x0A])
  }

  /// A day for daily ones, with the time when the day has several; the whole name for the others.
  private static func key(_ snapshot: CatalogedSnapshot, _ taken: inout Set<String>) -> String {
    let name = snapshot.record.name
    for candidate in [
      snapshot.record.kind == .daily ? String(name.prefix(8)) : name, name, "\(name)-\(snapshot.id.short)",
    ]
    where taken.insert(candidate).inserted {
      return candidate
    }
    return snapshot.id.hex
  }

  private static func write(
    _ snapshot: CatalogedSnapshot, files: Bool, _ open: (CatalogedSnapshot) -> SnapshotReader,
    _ json: inout JSONWriter, _ put: ([UInt8]) throws -> Void
  ) throws {
    let r = snapshot.record
    json.beginObject()
    json.field("name", r.name)
    json.field("id", snapshot.id.hex)
    json.field("host", r.host)
    json.field("plan", r.plan)
    json.field("created", r.start.iso8601(offset: r.utcOffset))
    json.field("expires", optional: snapshot.pinnedUntil?.iso8601(offset: r.utcOffset))
    json.field("status", r.counts.unreadable == 0 ? "complete" : "incomplete")
    json.field("verified", snapshot.verified != nil)
    json.field("verified_by", optional: snapshot.verified?.by)
    json.field("verified_date", optional: snapshot.verified?.time.iso8601(offset: r.utcOffset))
    json.field("description", r.summary)
    json.field("purpose", r.purpose)
    json.field("change_ticket", r.changeTicket)
    json.field("creator", r.creator)
    json.field("notes", r.notes)
    json.key("tags")
    json.beginArray()
    for tag in r.tags { json.value(tag) }
    json.endArray()
    json.field("retention", retention(snapshot))
    if files {
      json.key("files")
      json.beginObject()
      let reader = open(snapshot)
      try reader.walk(from: reader.root) { node, path in
        guard case .file(let size, let content) = node.entry.body else { return true }
        json.key(path)
        json.beginObject()
        json.field("size", size)
        json.field("sha256", optional: size == 0 ? ChecksumList.emptyDigest : content.digest?.hex)
        json.endObject()
        if json.text.count >= 1 << 16 { try put(json.drain()) }
        return true
      }
      json.endObject()
    }
    json.endObject()
    try put(json.drain())
  }

  private static func retention(_ snapshot: CatalogedSnapshot) -> String {
    if snapshot.isPinned { return "pinned" }
    if snapshot.pinnedUntil != nil { return "pinned until the date in \"expires\"" }
    switch snapshot.record.kind {
    case .preChange where snapshot.verified == nil: return "kept until it is verified"
    case .restorePoint where !snapshot.isConfirmed: return "kept until it is confirmed"
    default: return "by the rules of rotation"
    }
  }
}
