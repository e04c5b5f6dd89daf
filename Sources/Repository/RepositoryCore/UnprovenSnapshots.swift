internal import ChunkCodec
internal import ObjectStores
internal import Platform
package import Reporting
package import RepositoryFormat

/// Snapshots whose writers have stored their records and have not seen to the end that all they build on stays: these
/// are at work, or died in that moment. Their leases tell.
///
/// A writer announces a record in its lease before it stores it, and ends the lease when the snapshot is proven, or when
/// it has taken the record back. A lease says nothing of other writers' snapshots.
extension Repository {
  /// Deletes the record of a snapshot that was announced, and not proven. Some machine may have seen it: a full writer says
  /// that it is not to be missed.
  package func takeBack(
    _ snapshot: ObjectID, writer: [UInt8], sequence: UInt64
  ) throws(YesterError) {
    if keyring.role == .full {
      let subject = NoteRecord.Subject(snapshot: snapshot, writer: writer, sequence: sequence)
      var note = NoteRecord(kind: .removed, time: .now(), subjects: [subject])
      note.text = "taking back, unproven"
      try store(note, after: SnapshotCatalog(self), behindUnproven: true)
    }
    try store.delete(.snapshot(snapshot))
  }
}

extension SnapshotCatalog {
  /// Records that leases announce, with the writers of these.
  static func announced(_ repository: Repository) throws(YesterError) -> [ObjectID: Set<[UInt8]>] {
    var announced: [ObjectID: Set<[UInt8]>] = [:]
    for found in try Leases.list(repository) {
      if let id = found.record?.snapshot, let writer = found.writer { announced[id, default: []].insert(writer) }
    }
    return announced
  }

  /// Marks those snapshots, and leaves out what was taken back since the catalog was read: each of the others is finished.
  package mutating func markUnproven(_ repository: Repository) throws(YesterError) {
    let announced = try Self.announced(repository)
    // After the leases: a record is taken back before the lease ends that has announced it.
    let present = Set(try repository.store.ids(.snapshots))
    mark { snapshot in
      guard present.contains(snapshot.id) else { return nil }
      return announced[snapshot.id]?.contains(snapshot.envelope.writer) ?? false
    }
  }
}
