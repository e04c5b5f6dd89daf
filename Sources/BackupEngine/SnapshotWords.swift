internal import RepositoryFormat
internal import RepositoryStore

/// What people say of a snapshot, when it is made or later, held against the limits of the format: a record that
/// nobody can read must not be written.
enum SnapshotWords {
  /// What is said beside the sources: texts by their names, nil where nothing is said. Error 2 when one is too long.
  static func check(_ texts: [(name: String, text: String?)]) throws(YesterError) {
    for (name, text) in texts where text?.utf8.count ?? 0 > Limits.textSizeMax {
      throw YesterError(
        .usage, "What is given as the \(name) is too long", advice: "It can have \(Limits.textSizeMax) bytes.")
    }
  }

  /// Error 2 when there are more than `countMax`, or one is empty or too long.
  static func check(tags: [String], countMax: Int) throws(YesterError) {
    for tag in tags where !(1...Limits.tagSizeMax).contains(tag.utf8.count) {
      throw YesterError(.usage, "A tag has 1 to \(Limits.tagSizeMax) bytes, which \"\(tag.prefix(40))\" has not")
    }
    guard tags.count <= countMax else {
      throw YesterError(.usage, "These are too many tags", advice: "Give \(countMax) at a time.")
    }
  }
}

extension BackupOptions {
  /// Before anything is read: what cannot be recorded would otherwise be found at the end of the run. Error 2.
  func checkWords() throws(YesterError) {
    try SnapshotWords.check([
      ("host's name", host), ("plan's name", plan), ("description", summary), ("creator", creator),
      ("purpose", purpose), ("notes", notes), ("change ticket", changeTicket),
    ])
    try SnapshotWords.check(tags: tags, countMax: AnnotationHistory.tagsMax)
    // They stand in the record, beside up to 1,000 sources and the words above.
    let size = excludePatterns.reduce(0) { $0 + $1.count }
    guard size <= Limits.recordSizeMax / 2 else {
      throw YesterError(
        .usage, "The exclude patterns have \(size) bytes together, which is too much to be recorded",
        advice: "They can have \(Limits.recordSizeMax / 2); use wildcards.")
    }
  }
}
