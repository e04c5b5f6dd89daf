package import Documents
internal import Maintenance
internal import RepositoryCore
internal import RepositoryFormat
package import Workflows

/// A rotation: what is kept by which rules, and what went.
package struct RotationDocument: Document {
  package let result: RotationWorkflow.Result
  package let isDryRun: Bool

  package init(_ result: RotationWorkflow.Result, isDryRun: Bool) {
    self.result = result
    self.isDryRun = isDryRun
  }

  package func writeMembers(to json: inout JSONWriter) {
    json.field("dry_run", isDryRun)
    json.field("snapshots", array: result.decisions.lazy.map(DecisionDocument.init))
    if let pruned = result.pruned { json.field("space", PruneDocument(pruned)) }
  }
}

private struct DecisionDocument: Document {
  let decision: Rotation.Decision

  func writeMembers(to json: inout JSONWriter) {
    json.field("name", decision.snapshot.record.name)
    json.field("id", decision.snapshot.id.hex)
    json.field("host", decision.snapshot.record.host)
    json.field("plan", decision.snapshot.record.plan)
    json.field("writer", decision.snapshot.writerClass.description)
    json.field("kept", decision.isKept)
    json.field("rules", strings: decision.reasons)
    if let doubt = decision.snapshot.timeDoubt { json.field("time_doubt", doubt.description) }
    if let suspicion = decision.suspicion { json.field("suspicion", suspicion) }
  }
}
