package import FileBackup
package import Maintenance
package import Platform
package import Reporting
package import Restoring
package import SnapshotTree

/// Whoever has started a workflow, as the workflow sees them: they can stop it, see how far it is, are warned, are told
/// what could not be done, and are asked before anything of theirs is changed.
///
/// A command does all that at the terminal, a service keeps it for a page, a test leaves out what it does not look at.
/// All closures are called on the thread that the workflow was started on, but for `report` and `listing`, which any
/// thread of the run may call, one at a time.
package struct Interaction {
  /// Raised to make the workflow end soon. What was changed by then, the workflow's error says.
  package var stop = CancellationFlag()
  /// A stage begins, and `RunProgress` tells how far it is. What this gives back is called when the stage has ended.
  package var begin: (WorkflowStage, RunProgress) -> (() -> Void) = { _, _ in {} }
  /// A sentence on something that may not be as the user believes.
  package var warn: (String) -> Void = { _ in }
  /// Something that could not be done for one path.
  package var report: (PathProblem) -> Void = { _ in }
  /// Is told of entries as they are done; nil where nobody wants that.
  package var listing: EntryListing?
  /// Is shown what the workflow has come to intend, before any of it is done or refused; in a dry run as well.
  package var present: (Intention) -> Void = { _ in }
  /// Is asked whether to go on, before the first change. With false nothing is changed, and the workflow ends with error
  /// 130.
  package var confirm: (Intention) throws -> Bool = { _ in true }

  /// A restore point was made, from which what comes next can be undone, however it ends.
  package var restorePointMade: (Backup.Result) -> Void = { _ in }

  package init() {}

  /// Runs `body` as one stage.
  func stage<Value>(_ stage: WorkflowStage, _ body: (RunProgress) throws -> Value) rethrows -> Value {
    let progress = RunProgress(stop: stop)
    let end = begin(stage, progress)
    defer { end() }
    return try body(progress)
  }

  /// The last step before the first change: throws error 130 unless the answer is yes and nobody has stopped the run.
  func requireConsent(to intention: Intention) throws {
    guard try confirm(intention), !stop.isRaised else {
      throw YesterError(.interrupted, "Nothing was changed")
    }
  }
}

/// Parts of workflows that take their time, each with a progress of its own.
package enum WorkflowStage: Sendable {
  case backUp
  case verify
  /// Finding out what a rollback has to change, and proving that it can.
  case compare
  case makeRestorePoint
  case rollBack
  case restore
  case prune
  case repair
}

/// What a workflow is about to change.
package enum Intention: Sendable {
  case rollback(RestorePlan)
  /// Every snapshot that was looked at, and whether it goes.
  case rotation([Rotation.Decision])
  case removal([Removal.Candidate])
}
