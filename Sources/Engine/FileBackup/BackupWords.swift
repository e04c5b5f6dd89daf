internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat

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
