internal import Platform
package import RepositoryCore
package import RepositoryFormat

/// What a record says of its snapshot (docs/json.md, 1.2).
package struct SnapshotRecordDocument: Document {
  package let record: SnapshotRecord

  package init(_ record: SnapshotRecord) { self.record = record }

  package func writeMembers(to json: inout JSONWriter) {
    json.field("name", record.name)
    json.field("host", record.host)
    json.field("plan", record.plan)
    json.field("kind", record.kind.description)
    json.field("type", record.type.description)
    json.field("description", record.summary)
    json.field("creator", record.creator)
    json.field("purpose", record.purpose)
    json.field("notes", record.notes)
    json.field("change_ticket", record.changeTicket)
    json.field("created", record.start.iso8601(offset: record.utcOffset))
    json.field("finished", record.end.iso8601(offset: record.utcOffset))
    json.field("base", optional: record.base?.hex)
    json.field("program", record.program)
    json.field("sources", strings: record.sources)
    json.field("tags", strings: record.tags)
    json.field("counts", SnapshotCountsDocument(counts: record.counts))
  }
}

private struct SnapshotCountsDocument: Document {
  let counts: SnapshotCounts

  func writeMembers(to json: inout JSONWriter) {
    json.field("entries", counts.entries)
    json.field("files", counts.files)
    json.field("directories", counts.directories)
    json.field("links", counts.links)
    json.field("others", counts.others)
    json.field("bytes", counts.bytes)
    json.field("added", counts.added)
    json.field("modified", counts.modified)
    json.field("deleted", counts.deleted)
    json.field("unchanged", counts.unchanged)
    json.field("unreadable", counts.unreadable)
    json.field("bytes_read", counts.bytesRead)
    json.field("bytes_new", counts.bytesNew)
    json.field("bytes_stored", counts.bytesStored)
  }
}

/// A snapshot in the catalog: its record, with what was found out and said of it since.
package struct SnapshotDocument: Document {
  package let snapshot: CatalogedSnapshot

  package init(_ snapshot: CatalogedSnapshot) { self.snapshot = snapshot }

  package func writeMembers(to json: inout JSONWriter) {
    let offset = snapshot.record.utcOffset
    json.field("id", snapshot.id.hex)
    SnapshotRecordDocument(snapshot.record).writeMembers(to: &json)
    json.field("verified", snapshot.verified != nil)
    json.field("verified_level", optional: snapshot.verified?.level)
    json.field("verified_by", optional: snapshot.verified?.by)
    json.field("verified_date", optional: snapshot.verified?.time.iso8601(offset: offset))
    json.field("pinned", snapshot.isPinned || snapshot.pinnedUntil != nil)
    let last = snapshot.annotations.last
    json.field("annotated_by", optional: last?.by)
    json.field("annotated_date", optional: last?.time.iso8601(offset: offset))
  }
}

/// All that is recorded of a snapshot (docs/json.md, show).
package struct SnapshotDetailDocument: Document {
  package let snapshot: CatalogedSnapshot
  /// The name of the snapshot that it was compared with, where that is still there.
  package let baseName: String?

  package init(_ snapshot: CatalogedSnapshot, baseName: String?) {
    self.snapshot = snapshot
    self.baseName = baseName
  }

  package func writeMembers(to json: inout JSONWriter) {
    SnapshotDocument(snapshot).writeMembers(to: &json)
    json.field("base_name", optional: baseName)
    json.field("excludes", strings: snapshot.record.excludes)
    json.field("pinned_until", optional: snapshot.pinnedUntil?.iso8601(offset: snapshot.record.utcOffset))
    json.field("confirmed", snapshot.isConfirmed)
    json.field(
      "recorded",
      optional: snapshot.annotations.last == nil ? nil : SnapshotDescriptionDocument(record: snapshot.signed))
    json.field("writer", Hex.encode(snapshot.envelope.writer.prefix(8)))
    json.field("writer_role", snapshot.envelope.role.description)
    json.field("sequence", snapshot.record.sequence)
    json.field("key_set", snapshot.keySet.description)
  }
}

/// What annotations can change.
private struct SnapshotDescriptionDocument: Document {
  let record: SnapshotRecord

  func writeMembers(to json: inout JSONWriter) {
    json.field("description", record.summary)
    json.field("purpose", record.purpose)
    json.field("notes", record.notes)
    json.field("change_ticket", record.changeTicket)
    json.field("tags", strings: record.tags)
  }
}
