internal import Platform
internal import RepositoryCore
internal import RepositoryFormat

/// Snapshots in JSON: one form for every command (docs/json.md).
enum SnapshotJSON {
  static func object(_ snapshot: CatalogedSnapshot, _ json: inout JSONWriter) {
    json.beginObject()
    members(snapshot, &json)
    json.endObject()
  }

  /// The fields of a record, into an object that is open.
  static func fields(_ r: SnapshotRecord, _ json: inout JSONWriter) {
    json.field("name", r.name)
    json.field("host", r.host)
    json.field("plan", r.plan)
    json.field("kind", r.kind.description)
    json.field("type", r.type.description)
    json.field("description", r.summary)
    json.field("creator", r.creator)
    json.field("purpose", r.purpose)
    json.field("notes", r.notes)
    json.field("change_ticket", r.changeTicket)
    json.field("created", r.start.iso8601(offset: r.utcOffset))
    json.field("finished", r.end.iso8601(offset: r.utcOffset))
    json.field("base", optional: r.base?.hex)
    json.field("program", r.program)
    strings("sources", r.sources.map { String(decoding: $0, as: UTF8.self) }, &json)
    strings("tags", r.tags, &json)
    json.key("counts")
    json.beginObject()
    let c = r.counts
    for (name, value) in [
      ("entries", c.entries), ("files", c.files), ("directories", c.directories), ("links", c.links),
      ("others", c.others), ("bytes", c.bytes), ("added", c.added), ("modified", c.modified), ("deleted", c.deleted),
      ("unchanged", c.unchanged), ("unreadable", c.unreadable), ("bytes_read", c.bytesRead), ("bytes_new", c.bytesNew),
      ("bytes_stored", c.bytesStored),
    ] { json.field(name, value) }
    json.endObject()
  }

  /// What annotations can change, as an object.
  static func description(_ r: SnapshotRecord, _ json: inout JSONWriter) {
    json.beginObject()
    json.field("description", r.summary)
    json.field("purpose", r.purpose)
    json.field("notes", r.notes)
    json.field("change_ticket", r.changeTicket)
    strings("tags", r.tags, &json)
    json.endObject()
  }

  private static func strings(_ name: String, _ values: [String], _ json: inout JSONWriter) {
    json.key(name)
    json.beginArray()
    for value in values { json.value(value) }
    json.endArray()
  }
}
