internal import SnapshotWriting
package import FileBackup
package import Maintenance
internal import Platform
package import Reporting
package import RepositoryCore
internal import RepositoryFormat
internal import SnapshotTree

/// Makes a snapshot and, where that is wanted, proves it at once: what is new in it is read through a mount, as its
/// owner would read it. Only what came out right is marked as verified; the snapshot stays in any case.
package struct BackupWorkflow {
  package struct Result: Sendable {
    package let backup: Backup.Result
    /// Nil where none was wanted.
    package var verification: MountVerification.Result?
    /// Of backup and verification together.
    package var seconds = 0.0
    /// What the run ends with although a snapshot was made.
    package var failure: YesterError?
  }

  /// Shows the snapshots of `host` in a directory while `body` runs, which gets its path. What `body` throws is thrown
  /// on. Throws `YesterError` when nothing can be mounted.
  package typealias Mounting = (_ host: String, _ body: (_ mountPoint: String) throws -> Void) throws -> Void

  /// What the program is, the workflow sets itself.
  package var options: BackupOptions
  /// How the snapshot is mounted for its verification; nil for none.
  package var verification: Mounting?

  package init(_ options: BackupOptions, verification: Mounting? = nil) {
    self.options = options
    self.verification = verification
  }

  /// Throws `YesterError`, and `Stopped` when it was interrupted: what was stored by then is used by the next run.
  package func run(_ repository: Repository, _ interaction: Interaction) throws -> Result {
    if verification != nil { try repository.requireFullKey("read the snapshot back to verify it") }
    var options = options
    options.program = ProgramVersion.text
    let start = System.bootClock
    let backup = try interaction.stage(.backUp) { progress in
      try Backup.run(
        repository, options, progress: progress, listing: interaction.listing, report: interaction.report)
    }
    var result = Result(backup: backup)
    if let verification { result.verification = try verify(backup, repository, interaction, verification) }
    result.seconds = Double(System.bootClock - start) / 1e9
    result.failure = Self.failure(result)
    return result
  }

  private func verify(
    _ backup: Backup.Result, _ repository: Repository, _ interaction: Interaction, _ mounting: Mounting
  ) throws -> MountVerification.Result {
    let catalog = try repository.readCatalog()
    guard let snapshot = catalog.snapshots.first(where: { $0.id == backup.id }) else {
      throw YesterError(.failed, "The new snapshot is not in the repository any more")
    }
    let tree = TreeStore(reader: repository.reader)
    // What an earlier snapshot holds as well was read through a mount before only when that one was verified so.
    let base = catalog.snapshots.first { $0.id == backup.record.base && $0.verified != nil }
    var found: MountVerification.Result?
    try mounting(backup.record.host) { mountPoint in
      // The stage begins when nobody is asked for a password any more.
      found = try interaction.stage(.verify) { progress in
        try MountVerification.run(
          SnapshotReader(snapshot, tree: tree), base: base.map { SnapshotReader($0, tree: tree) },
          mountedAt: "\(mountPoint)/\(snapshot.record.name)", progress: progress)
      }
    }
    guard let found else { throw YesterError(.failed, "The snapshot was not mounted, and thus not verified") }
    if found.findings.isEmpty { try Verify.note(repository, [snapshot], level: "mount") }
    return found
  }

  private static func failure(_ result: Result) -> YesterError? {
    if let verification = result.verification, !verification.findings.isEmpty {
      return YesterError(
        .damaged, "The snapshot \(result.backup.record.name) did not pass its verification (see above)",
        advice: "Run \"yester verify\"; the snapshot is kept, but not marked as verified.")
    }
    return result.backup.problems > 0 ? incomplete(result.backup) : nil
  }

  private static func incomplete(_ result: Backup.Result) -> YesterError {
    let sources = result.missingSources
    let paths = result.problems - sources
    var parts: [String] = []
    if sources > 0 { parts.append("\(sources) \(sources == 1 ? "source" : "sources") could not be backed up") }
    if paths > 0 { parts.append("\(paths) \(paths == 1 ? "path" : "paths") could not be read properly") }
    return YesterError(
      .incomplete, parts.joined(separator: ", and ") + " (named above)",
      advice: "The snapshot holds everything else.")
  }
}
