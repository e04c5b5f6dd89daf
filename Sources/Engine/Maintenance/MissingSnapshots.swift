internal import ObjectStores
internal import Platform
package import Reporting
package import RepositoryCore
internal import RepositoryFormat

/// Keeps whatever deletes from taking a snapshot that is out of sight for one that was removed.
///
/// A directory that a repair of the file system has moved aside, a copy that is not finished, a record that the disk has
/// lost: what such snapshots need looks like what nobody needs. The chains of the writers tell.
package enum MissingSnapshots {
  /// Of what is accepted in one note; the rest is for the next run.
  private static let acceptedMax = 10_000

  /// The catalog, or an error when there may be snapshots that it does not show. With `accepting`, gaps in the chains
  /// are no error. Throws error 11 when the key cannot read all, and 13 for records that are unusable or missing.
  package static func completeCatalog(
    _ repository: Repository, accepting: Bool = false
  ) throws(YesterError) -> SnapshotCatalog {
    var catalog = try SnapshotCatalog(repository, telling: false)
    try requireNoCopyAlone(repository)
    let gaps = try gaps(catalog)
    try catalog.markUnproven(repository)
    guard let gap = gaps.first(where: { $0.id != nil }) ?? gaps.first, !accepting else { return catalog }
    throw YesterError(.damaged, "Records of snapshots are missing: \(gap.text)", advice: advice)
  }

  private static let advice =
    "Nothing was deleted, since nobody can say what they need. Put the missing records back into the folder "
    + "\"snapshots\" from a copy of the repository; \"yester verify\" names them. If they are lost for good, "
    + "\"yester prune --accept-missing-snapshots\" counts them as removed."

  /// Fails while a record is gone and its second copy is not: nothing may count as lost that can be put back. Who removes a
  /// record deletes the copy first.
  private static func requireNoCopyAlone(_ repository: Repository) throws(YesterError) {
    let store = repository.store
    guard store.healing != nil else { return }
    let present = Set(try store.ids(.snapshots).map { ObjectKey.snapshot($0) })
    var alone: [ObjectKey] = []
    try store.listCopies(of: .snapshots) { name, _ in
      let key = ObjectKey.named(name, in: .snapshots)
      if !present.contains(key) { alone.append(key) }
    }
    // It may have been stored, or removed, while the names were read.
    for key in alone {
      guard try store.size(key) == nil, try store.size(.copy(of: key)) != nil else { continue }
      throw YesterError(
        .damaged, "Records of snapshots are missing: of \(key) only the second copy is there",
        advice: "Nothing was deleted. Run \"yester verify --repair\", which puts back what has a second copy.")
    }
  }

  /// An unreadable record may need anything, and be what a chain seems to lack.
  private static func gaps(_ catalog: SnapshotCatalog) throws(YesterError) -> [ChainCheck.Gap] {
    guard catalog.foreignCount == 0 else {
      throw YesterError(
        .wrongKey, "There are snapshots that this key cannot read, and nobody can say what they need",
        advice: "Nothing was deleted. Use a current full key.")
    }
    if let (id, error) = catalog.damaged.first {
      throw YesterError(
        .damaged, "The record snapshots/\(id.short) is unusable: \(error.message)",
        advice: "Nothing was deleted, since nobody can say what that snapshot needs. Run \"yester verify\".")
    }
    return catalog.gaps.filter { !$0.isHearsay }
  }

  /// Error 1 when packs are stored and there is neither a snapshot nor a full writer's word that any was removed: the
  /// snapshots may be elsewhere. So it is after a first backup that was interrupted as well, which cannot be told apart.
  static func requireSnapshots(_ catalog: SnapshotCatalog, _ repository: Repository) throws(YesterError) {
    let wereRemoved = catalog.notes.contains { (_, note, envelope) in
      note.kind == .removed && envelope.isFullWriter && !(note.subjects.isEmpty && note.losses.isEmpty)
    }
    guard catalog.snapshots.isEmpty && !wereRemoved else { return }
    guard try !repository.store.ids(.packs).isEmpty else { return }
    throw YesterError(
      .failed,
      "Data are stored in \(repository.store.location), but there is not one snapshot, nor a note that any was removed",
      advice:
        "Nothing was deleted. If there were snapshots, put the folder \"snapshots\" back in its place, or copy it "
        + "from a copy of the repository. If the first backup was interrupted, make a backup: it uses what is stored. "
        + "If all of it may go, run \"yester prune --accept-missing-snapshots\".")
  }

  /// Signs that what the chains lack counts as removed from now on.
  static func accept(_ catalog: SnapshotCatalog, _ repository: Repository) throws(YesterError) {
    var subjects: [NoteRecord.Subject] = []
    var losses: [NoteRecord.Loss] = []
    var named: Set<ObjectID> = []
    for gap in catalog.gaps where !gap.isHearsay {
      if let id = gap.id {
        // Whoever stored what came after it had seen it: it is there now unless it is lost. This must not remove it.
        guard subjects.count < acceptedMax, try repository.store.size(.snapshot(id)) == nil else { continue }
        guard named.insert(id).inserted else { continue }
        subjects.append(NoteRecord.Subject(snapshot: id, writer: gap.writer, sequence: gap.numbers.lowerBound))
      } else if losses.count < Limits.lostRangesMax {
        losses.append(NoteRecord.Loss(writer: gap.writer, numbers: gap.numbers))
      }
    }
    guard !subjects.isEmpty || !losses.isEmpty else { return }
    var note = NoteRecord(kind: .removed, time: .now(), subjects: subjects)
    note.losses = losses
    note.text = "acceptance as missing"
    try repository.store(note, after: catalog)
  }
}
