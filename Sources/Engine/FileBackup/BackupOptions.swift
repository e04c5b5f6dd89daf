package import LocalFiles
internal import Platform
package import RepositoryFormat

/// What `Backup` is to do.
package struct BackupOptions: Sendable {
  package var sources: [String] = []
  /// More of them.
  package var sourceList: PathStream?
  /// In place of all sources: a file whose content comes through a stream.
  package var streamedFile: StreamedFile?
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

  package var excludes = ExcludeRules()
  /// The patterns as given, for the record.
  package var excludePatterns: [[UInt8]] = []
  /// Those of them that somebody wrote for this backup: that one of them can match nothing is worth a remark.
  package var ownExcludePatterns: [[UInt8]] = []
  /// Leave out the content of directories that a CACHEDIR.TAG marks (bford.info/cachedir).
  package var excludeCaches = false
  /// Leave out directories that hold a file of one of these names.
  package var markers: [[UInt8]] = []
  package var oneFileSystem = false
  package var fileSizeMax: UInt64?
  /// Which of them must be equal for a file to count as unchanged, beside size and mtime.
  package var comparesChangeTime = true
  package var comparesInode = true

  /// zstd's, from 1 to 19; nil for the best bargain.
  package var compressionLevel: Int?
  /// Files read and blocks sealed at the same time; nil for as many as there are processors.
  package var readConcurrency: Int?
  package static let readConcurrencyMax = 64
  /// Somebody watches the progress: it is worth a second look at the sources to know how much there is.
  package var showsProgress = false
  /// No snapshot unless all of it could be read.
  package var isStrict = false
  /// Only say what would be done.
  package var isDryRun = false

  package init() {}
}
