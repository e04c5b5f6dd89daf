internal import LocalFiles
internal import Platform
package import Reporting
package import RepositoryCore
internal import RepositoryFormat
package import Restoring
internal import SnapshotTree
internal import Synchronization
internal import TerminalText

/// Brings files back from a snapshot into a directory. All of the plan is made first; then it is carried out.
package struct RestoreWorkflow {
  package struct Result: Sendable {
    package let plan: RestorePlan
    /// Nil for a dry run.
    package var outcome: Restore.Outcome?
    package var seconds = 0.0
    /// What the run ends with although it came to its end: not all could be restored.
    package var failure: YesterError?
  }

  /// `SNAPSHOT` or `SNAPSHOT:PATH`, as `SnapshotSelector` takes it.
  package var source: String
  /// Whose snapshot; nil for this host's, then any.
  package var host: String?
  /// The directory to restore to; it is made when it is not there.
  package var destination: String
  /// Also delete what is in the destination and not in the snapshot.
  package var deletes = false
  package var isDryRun = false

  package init(source: String, destination: String) {
    self.source = source
    self.destination = destination
  }

  /// Throws `YesterError`, and `Stopped` when it was interrupted: what was restored by then stays.
  package func run(_ repository: Repository, _ interaction: Interaction) throws -> Result {
    try repository.requireFullKey("restore files")
    let lease = try Lease.take(repository, .read, isRequired: false)
    defer { lease?.release() }
    let selector = SnapshotSelector(source)
    let catalog = try repository.readCatalog()
    let snapshot = try selector.find(in: catalog, host: host)
    if let notice = HostNotice.sentence(selector, snapshot, catalog, host: host) { interaction.warn(notice) }
    let reader = SnapshotReader(snapshot, tree: TreeStore(reader: repository.reader))
    var options = Restore.Options()
    options.deletes = deletes
    options.protected = try ProtectedDirectories(repository.protectedPaths)
    return try interaction.stage(.restore) { progress in
      let start = System.bootClock
      let missing = missingDirectories
      let prepared = try Restore.prepare(
        reader, path: selector.path, into: destination, options, progress: progress, listing: interaction.listing)
      var result = Result(plan: prepared.plan)
      guard !isDryRun else {
        for path in missing { try? FileSystem.removeDirectory(path.pathBytes, at: nil) }
        return result
      }
      let isDamaged = Mutex(false)
      let outcome = try Restore.carryOut(prepared, progress: progress, listing: interaction.listing) { problem in
        if problem.kind == .damaged { isDamaged.withLock { $0 = true } }
        interaction.report(problem)
      }
      result.outcome = outcome
      result.seconds = Double(System.bootClock - start) / 1e9
      result.failure = Self.failure(outcome, isDamaged: isDamaged.withLock { $0 })
      return result
    }
  }

  /// The directories on the way to the destination that are not there yet, the deepest first.
  private var missingDirectories: [String] {
    var out: [String] = []
    var rest = destination
    while !rest.isEmpty, rest != "/", (try? FileStatus(of: rest, following: false)) == nil {
      out.append(rest)
      guard let slash = rest.lastIndex(of: "/") else { break }
      rest = String(rest[..<slash])
    }
    return out
  }

  private static func failure(_ outcome: Restore.Outcome, isDamaged: Bool) -> YesterError? {
    guard outcome.failures > 0 else { return nil }
    return YesterError(
      isDamaged ? .damaged : .failed,
      Amounts.count(UInt64(outcome.failures), "path") + " could not be restored (named above)",
      advice: isDamaged
        ? "Everything else was restored. Run \"yester verify\" to see what is damaged."
        : "Everything else was restored.")
  }
}
