package import LocalFiles
package import SnapshotWriting

/// What `Backup` is to do. What there is to say of any snapshot is in `snapshot`, and can be said here as well.
@dynamicMemberLookup
package struct BackupOptions: Sendable {
  package var snapshot = SnapshotOptions()

  package var sources: [String] = []
  /// More of them.
  package var sourceList: PathStream?
  /// In place of all sources: files whose content comes through streams.
  package var streamedFiles: [StreamedFile] = []

  package var excludes = ExcludeRules()
  /// Those of the patterns that somebody wrote for this backup: that one of them can match nothing is worth a remark.
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

  package static let readConcurrencyMax = 64
  /// Somebody watches the progress: it is worth a second look at the sources to know how much there is.
  package var showsProgress = false
  /// No snapshot unless all of it could be read.
  package var isStrict = false

  package init() {}

  package subscript<Value>(dynamicMember member: WritableKeyPath<SnapshotOptions, Value>) -> Value {
    get { snapshot[keyPath: member] }
    set { snapshot[keyPath: member] = newValue }
  }
}
