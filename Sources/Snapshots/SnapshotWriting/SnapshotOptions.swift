internal import Platform
package import Reporting
internal import RepositoryCore
package import RepositoryFormat

/// What a new snapshot is to be called and how it is made, whatever is in it.
package struct SnapshotOptions: Sendable {
  package var host = System.hostName
  package var plan = "default"
  package var kind = SnapshotKind.daily
  package var type = SnapshotType.incremental
  package var summary = ""
  package var creator = ""
  package var purpose = ""
  package var notes = ""
  package var changeTicket = ""
  package var tags: [String] = []
  package var program = ""
  /// The exclude patterns as given, for the record alone.
  package var excludePatterns: [[UInt8]] = []

  /// zstd's, from 1 to 19; nil for the best bargain.
  package var compressionLevel: Int?
  /// Files read and blocks sealed at the same time; nil for as many as there are processors.
  package var readConcurrency: Int?
  /// Files of different owners never share a compressed block.
  package var separatesOwners = false
  /// Only say what would be done.
  package var isDryRun = false

  package init() {}

  /// Before anything is read: what cannot be recorded would otherwise be found at the end of the run. Error 2.
  package func checkWords() throws(YesterError) {
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
