internal import ChunkCodec
internal import Platform
package import Reporting
package import RepositoryCore
internal import RepositoryFormat

/// Gives a snapshot another description, purpose, notes, change ticket or tags, by a signed note: records never
/// change. Who may do so, and whose word counts, says `AnnotationHistory`.
package enum Annotate {
  /// What is to be different; nil leaves a text as it is.
  package struct Change: Sendable {
    package var summary: String?
    package var purpose: String?
    package var notes: String?
    package var changeTicket: String?
    /// Just these tags.
    package var tags: [String]?
    package var addedTags: [String] = []
    package var removedTags: [String] = []
    package init() {}
  }

  /// Stores the note, unless it is a dry run or everything is so already. The snapshot as it is afterwards, and
  /// whether that differs from before. Throws `YesterError`.
  package static func run(
    _ repository: Repository, _ snapshot: CatalogedSnapshot, in catalog: SnapshotCatalog, _ change: Change,
    isDryRun: Bool = false
  ) throws(YesterError) -> (snapshot: CatalogedSnapshot, isChanged: Bool) {
    try check(change)
    let role = repository.keyring.role
    guard let revision = snapshot.annotations.nextRevision(role) else {
      throw YesterError(
        .failed, "The snapshot \(snapshot.record.name) cannot be annotated any more: no revision is left",
        advice: role == .writeOnly ? "A full key still can." : "")
    }
    let annotation = difference(snapshot, change, revision)
    guard !annotation.isEmpty else { return (snapshot, false) }
    if role == .writeOnly { try checkWriteOnly(snapshot, annotation) }
    let now = Timestamp.now()
    var after = snapshot
    after.apply(
      AnnotationHistory.Statement(
        annotation, role: role, writer: repository.keyring.writer.publicKey, time: now, by: Repository.whoWrites))
    if !isDryRun { try repository.store(NoteRecord(annotation, time: now), after: catalog) }
    return (after, true)
  }

  private static func check(_ change: Change) throws(YesterError) {
    try SnapshotWords.check([
      ("description", change.summary), ("purpose", change.purpose), ("notes", change.notes),
      ("change ticket", change.changeTicket),
    ])
    for tags in [change.tags ?? [], change.addedTags, change.removedTags] {
      try SnapshotWords.check(tags: tags, countMax: Limits.annotationTagsMax)
      for tag in tags where tag.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
        throw YesterError(.usage, "A tag can hold no control characters")
      }
    }
  }

  /// Only what is not so already: what is said again would count as said anew.
  private static func difference(
    _ snapshot: CatalogedSnapshot, _ change: Change, _ revision: UInt64
  ) -> SnapshotAnnotation {
    let record = snapshot.record
    func news(_ new: String?, _ old: String) -> String? { new == old ? nil : new }
    var annotation = SnapshotAnnotation(snapshot: snapshot.id, revision: revision)
    annotation.summary = news(change.summary, record.summary)
    annotation.purpose = news(change.purpose, record.purpose)
    annotation.notes = news(change.notes, record.notes)
    annotation.changeTicket = news(change.changeTicket, record.changeTicket)
    let present = Set(record.tags)
    let wanted = (change.tags ?? []) + change.addedTags
    let unwanted = change.tags.map { kept in record.tags.filter { !kept.contains($0) } } ?? []
    var removed = Set(unwanted + change.removedTags).intersection(present)
    removed.subtract(wanted)
    annotation.removedTags = removed.sorted()
    for tag in wanted where !present.contains(tag) && !annotation.addedTags.contains(tag) {
      annotation.addedTags.append(tag)
    }
    return annotation
  }

  private static func checkWriteOnly(
    _ snapshot: CatalogedSnapshot, _ annotation: SnapshotAnnotation
  ) throws(YesterError) {
    guard annotation.removedTags.isEmpty else {
      throw YesterError(
        .wrongKey, "A write-only key cannot take tags away, since rules of rotation may go by them",
        advice: "Run the command with a full key.")
    }
    let texts: [(AnnotationHistory.Field, String, String?)] = [
      (.summary, "description", annotation.summary), (.purpose, "purpose", annotation.purpose),
      (.notes, "notes", annotation.notes), (.changeTicket, "change ticket", annotation.changeTicket),
    ]
    for (field, what, text) in texts where text != nil && snapshot.annotations.settled.contains(field) {
      throw YesterError(
        .wrongKey,
        "The \(what) of \(snapshot.record.name) comes from a full key, and a write-only key cannot change it",
        advice: "Run the command with a full key.")
    }
  }
}
