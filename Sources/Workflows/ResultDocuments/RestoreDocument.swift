internal import SnapshotWriting
package import Documents
package import FileBackup
internal import Platform
internal import Reporting
internal import RepositoryFormat
package import Restoring
package import Workflows

/// A restore or a rollback: what was planned, and what became of it.
package struct RestoreDocument: Document {
  package let plan: RestorePlan
  /// Nil where nothing was carried out.
  package let outcome: Restore.Outcome?
  package let restorePoint: Backup.Result?

  package init(_ result: RestoreWorkflow.Result) {
    (plan, outcome, restorePoint) = (result.plan, result.outcome, nil)
  }

  package init(_ result: RollbackWorkflow.Result) {
    (plan, outcome, restorePoint) = (result.plan, result.outcome, result.restorePoint)
  }

  package func writeMembers(to json: inout JSONWriter) {
    json.field("dry_run", outcome == nil)
    json.field("created", plan.creates)
    json.field("replaced", plan.replaces)
    json.field("metadata", plan.metadata)
    json.field("deleted", plan.deletes)
    json.field("unchanged", plan.unchanged)
    json.field("bytes", plan.bytes)
    if let outcome {
      json.field("failed", outcome.failures)
      json.field("not_made", array: outcome.unmade.lazy.map(LossDocument.init))
      json.field("not_kept", array: outcome.losses.lazy.map(LossDocument.init))
    }
    json.field("restore_point", optional: restorePoint?.record.name)
    json.field("steps", array: plan.actions.lazy.compactMap(RestoreStepDocument.init))
  }
}

/// One thing to be done to a path.
private struct RestoreStepDocument: Document {
  let step: String
  let path: [UInt8]
  let reason: String?

  /// Nil for what is done behind others, and no step by itself.
  init?(_ action: RestoreAction) {
    switch action.kind {
    case .create: (step, reason) = ("create", nil)
    case .replace(let why): (step, reason) = ("replace", why.rawValue)
    case .setMetadata: (step, reason) = ("metadata", nil)
    case .delete: (step, reason) = ("delete", nil)
    case .finishDirectory: return nil
    }
    path = action.path
  }

  func writeMembers(to json: inout JSONWriter) {
    json.field("step", step)
    json.field("path", printable(path))
    if let reason { json.field("reason", reason) }
  }
}

/// What the destination had no place for, or could not keep, of one kind.
private struct LossDocument: Document {
  let kind: String
  let count: UInt64
  let reason: Errno?
  let example: [UInt8]

  init(_ unmade: UnmadeEntries.Count) {
    (kind, count, reason, example) = (unmade.kind.rawValue, unmade.count, unmade.reason, unmade.example)
  }

  init(_ loss: RestoreLosses.Loss) {
    (kind, count, reason, example) = (loss.kind.rawValue, loss.count, loss.reason, loss.example)
  }

  func writeMembers(to json: inout JSONWriter) {
    json.field("kind", kind)
    json.field("count", count)
    json.field("reason", optional: reason?.description)
    json.field("example", printable(example))
  }
}
