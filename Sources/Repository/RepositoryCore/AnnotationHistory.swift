package import Platform
package import RepositoryFormat

/// What notes say of a snapshot in place of its record: description, purpose, notes, change ticket and tags.
///
/// A full key may annotate every snapshot. A write-only key may annotate those that it made itself, may not take tags
/// away (that would release a snapshot from a rule of rotation), and its word gives way to that of any full key. So
/// annotations apply in this order: those of write-only keys, then those of full keys, each by revision, then by time,
/// then by the id of the note.
package struct AnnotationHistory: Sendable {
  package enum Field: Sendable, CaseIterable {
    case summary, purpose, notes, changeTicket
  }

  /// An annotation and who made it.
  package struct Statement: Sendable {
    let annotation: SnapshotAnnotation
    let role: KeyRole
    /// The public key of who made it.
    let writer: [UInt8]
    let time: Timestamp
    /// User and host, in words.
    let by: String

    package init(_ annotation: SnapshotAnnotation, role: KeyRole, writer: [UInt8], time: Timestamp, by: String) {
      self.annotation = annotation
      self.role = role
      self.writer = writer
      self.time = time
      self.by = by
    }
  }

  /// Write-only keys can write any number of notes: what they add to a snapshot ends here.
  package static let tagsMax = 1024

  /// When the last of them was made, and by whom.
  package private(set) var last: (time: Timestamp, by: String)?
  /// What a full key has said: a write-only key cannot change it any more.
  package private(set) var settled: Set<Field> = []
  private var fullRevision: UInt64 = 0
  private var writeOnlyRevision: UInt64 = 0

  /// The revision that a new annotation by such a key needs to come last; nil when there is none left.
  package func nextRevision(_ role: KeyRole) -> UInt64? {
    let highest = role == .full ? fullRevision : writeOnlyRevision
    return highest < Limits.sequenceMax ? highest + 1 : nil
  }

  /// All annotations in the order in which they apply.
  static func inOrder(_ notes: [(id: ObjectID, note: NoteRecord, envelope: Authorship)]) -> [Statement] {
    // By time and id they are in order already; indices keep that order among equal revisions.
    let found = notes.enumerated().compactMap { index, item -> (index: Int, statement: Statement)? in
      item.note.annotation.map {
        let envelope = item.envelope
        return (
          index, Statement($0, role: envelope.role, writer: envelope.writer, time: item.note.time, by: item.note.by)
        )
      }
    }
    func rank(_ item: (index: Int, statement: Statement)) -> (Int, UInt64, Int) {
      (item.statement.role == .full ? 1 : 0, item.statement.annotation.revision, item.index)
    }
    return found.sorted { rank($0) < rank($1) }.map(\.statement)
  }

  fileprivate mutating func note(_ statement: Statement) {
    let annotation = statement.annotation
    if statement.role == .full {
      fullRevision = max(fullRevision, annotation.revision)
      if annotation.summary != nil { settled.insert(.summary) }
      if annotation.purpose != nil { settled.insert(.purpose) }
      if annotation.notes != nil { settled.insert(.notes) }
      if annotation.changeTicket != nil { settled.insert(.changeTicket) }
    } else {
      writeOnlyRevision = max(writeOnlyRevision, annotation.revision)
    }
    if last.map({ $0.time <= statement.time }) ?? true { last = (statement.time, statement.by) }
  }
}

extension CatalogedSnapshot {
  /// Takes an annotation over, unless its writer may not say that of this snapshot.
  package mutating func apply(_ statement: AnnotationHistory.Statement) {
    let isFull = statement.role == .full
    guard isFull || statement.writer == envelope.writer else { return }
    let annotation = statement.annotation
    keepSigned()
    annotations.note(statement)
    if let text = annotation.summary { record.summary = text }
    if let text = annotation.purpose { record.purpose = text }
    if let text = annotation.notes { record.notes = text }
    if let text = annotation.changeTicket { record.changeTicket = text }
    if isFull && !annotation.removedTags.isEmpty {
      let removed = Set(annotation.removedTags)
      record.tags.removeAll { removed.contains($0) }
    }
    guard !annotation.addedTags.isEmpty else { return }
    var present = Set(record.tags)
    for tag in annotation.addedTags where isFull || record.tags.count < AnnotationHistory.tagsMax {
      if present.insert(tag).inserted { record.tags.append(tag) }
    }
  }
}
