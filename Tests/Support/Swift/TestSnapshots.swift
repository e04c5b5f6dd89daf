package import Platform
package import RepositoryCore
package import RepositoryFormat

/// What there is to know of a snapshot of some day, without a tree.
package func snapshotRecord(_ day: Int) -> SnapshotRecord {
  let time = Timestamp(seconds: Int64(day) * 86_400)
  let root = Entry(
    name: [],
    permissions: 0o755,
    owner: Owner(user: 0, group: 0),
    modified: time,
    changed: time,
    born: nil,
    linkCount: 2,
    sourceInode: 2,
    body: .directory(below: 0, listing: .zero)
  )
  var record = SnapshotRecord(root: root)
  record.name = "202611" + pad(day) + "_0930"
  record.start = time
  record.end = time
  return record
}

extension Repository {
  @discardableResult
  package func addSnapshot(_ day: Int) throws -> ObjectID {
    var record = snapshotRecord(day)
    let id = try store(&record, after: SnapshotCatalog(self))
    remember(id, record.sequence)
    return id
  }

  package func addNote(
    _ kind: NoteRecord.Kind,
    _ snapshots: [ObjectID],
    day: Int = 0,
    until: Timestamp? = nil
  ) throws {
    let catalog = try SnapshotCatalog(self)
    let subjects = catalog.snapshots.filter { snapshots.contains($0.id) }.map {
      NoteRecord.Subject(snapshot: $0.id, writer: $0.envelope.writer, sequence: $0.record.sequence)
    }
    var note = NoteRecord(kind: kind, time: Timestamp(seconds: Int64(day)), subjects: subjects)
    note.until = until
    try store(note, after: catalog)
  }
}
