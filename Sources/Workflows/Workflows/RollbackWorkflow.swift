internal import SnapshotWriting
package import FileBackup
internal import LocalFiles
internal import Platform
package import Reporting
package import RepositoryCore
internal import RepositoryFormat
package import Restoring
internal import SnapshotTree
internal import TerminalText

/// Returns a path on this machine to what it was in a snapshot.
///
/// The order is what makes it safe, and each step is reached only when the one before it has succeeded:
/// 1. Compare, which makes the list of changes.
/// 2. *Prove* that all that the list needs is in the repository and sound.
/// 3. Show the list and ask.
/// 4. Make a *restore point*, a snapshot of what is there now, which must be complete.
/// 5. Carry out exactly the list.
///
/// Until 4 is done nothing of the user's was touched.
package struct RollbackWorkflow {
  package struct Result: Sendable {
    package let plan: RestorePlan
    /// Nil when nothing was to be done, or in a dry run.
    package var outcome: Restore.Outcome?
    /// Nil also when nothing was there that could be lost.
    package var restorePoint: Backup.Result?
    /// Since the comparison began, with the time for an answer.
    package var seconds = 0.0
    /// What the run ends with although it came to its end: not all could be done.
    package var failure: YesterError?
  }

  /// As `SnapshotSelector` takes it.
  package var snapshot: String
  package var path: String
  package var isDryRun = false

  package init(snapshot: String, path: String) {
    self.snapshot = snapshot
    self.path = path
  }

  /// Throws `YesterError`, and `Stopped` when it was interrupted within a step: between the restore point and its end the
  /// path may then be partly rolled back.
  package func run(_ repository: Repository, _ interaction: Interaction) throws -> Result {
    try repository.requireFullKey("roll back")
    let lease = try Lease.take(repository, .read, isRequired: !isDryRun)
    defer { lease?.release() }
    let reader = try choose(repository, interaction)
    let start = System.bootClock
    let prepared = try interaction.stage(.compare) { progress in
      let prepared = try Rollback.prepare(
        reader, path: path, protecting: try ProtectedDirectories(repository.protectedPaths), progress: progress)
      if !isDryRun && !prepared.restore.plan.isEmpty { try Restore.prove(prepared.restore, progress: progress) }
      return prepared
    }
    let plan = prepared.restore.plan
    var result = Result(plan: plan)
    interaction.present(.rollback(plan))
    if isDryRun || plan.isEmpty { return result }
    try interaction.requireConsent(to: .rollback(plan))
    let point = try interaction.stage(.makeRestorePoint) { progress in
      try Rollback.takeRestorePoint(
        repository, prepared, of: reader.snapshot.record.name, progress: progress,
        report: interaction.report)
    }
    if let point { interaction.restorePointMade(point) }
    let outcome = try interaction.stage(.rollBack) { progress in
      try Restore.carryOut(prepared.restore, progress: progress, report: interaction.report)
    }
    result.restorePoint = point
    result.outcome = outcome
    result.seconds = Double(System.bootClock - start) / 1e9
    result.failure = failure(outcome, point)
    return result
  }

  private func choose(_ repository: Repository, _ interaction: Interaction) throws -> SnapshotReader {
    let selector = SnapshotSelector(snapshot)
    let catalog = try repository.readCatalog()
    // Where it cannot be resolved, `prepare` says why.
    let found = try selector.find(in: catalog, holding: try? Rollback.absolutePath(path))
    if let notice = HostNotice.sentence(selector, found, catalog, host: nil) { interaction.warn(notice) }
    return SnapshotReader(found, tree: TreeStore(reader: repository.reader))
  }

  private func failure(_ outcome: Restore.Outcome, _ point: Backup.Result?) -> YesterError? {
    guard outcome.failures > 0 else { return nil }
    return YesterError(
      .failed, Amounts.count(UInt64(outcome.failures), "path") + " could not be rolled back (named above)",
      advice: point.map { "To undo: yester rollback \($0.record.name) \(path)" } ?? "")
  }
}
