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
  /// Directories that must stay out, by absolute path: the repository, above all.
  package var forbidden: [String] = []

  package init() {}
}

/// Something that a run could not do for one path, or had to do differently.
package struct PathProblem: Sendable {
  package enum Kind: String, Sendable {
    /// A source that is not there or cannot be opened: nothing of it is in the snapshot.
    case missing
    /// Its content is not in the snapshot.
    case unreadable
    /// The repository has lost some of its content.
    case damaged
    /// It changed while it was read; what was stored may be a mixture.
    case changed
    /// It was gone when its turn came.
    case vanished
    /// Some of its metadata was left out.
    case metadata
    /// A directory that holds no files of the user's was not entered.
    case skipped
    /// Nothing is wrong, but the user should know.
    case remark

    /// Whether the snapshot is not what it should be.
    package var isFailure: Bool {
      switch self {
      case .missing, .unreadable, .damaged, .changed, .metadata: true
      case .vanished, .skipped, .remark: false
      }
    }
  }
  package let kind: Kind
  package let path: [UInt8]
  package let message: String
  package init(_ kind: Kind, _ path: [UInt8], _ message: String) {
    self.kind = kind
    self.path = path
    self.message = message
  }
}
