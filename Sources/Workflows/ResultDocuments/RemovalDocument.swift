package import Documents
internal import Maintenance
internal import Platform
internal import RepositoryCore
internal import RepositoryFormat
package import Workflows

/// Snapshots that were removed by name, or would be.
package struct RemovalDocument: Document {
  package let result: RemovalWorkflow.Result
  package let isDryRun: Bool

  package init(_ result: RemovalWorkflow.Result, isDryRun: Bool) {
    self.result = result
    self.isDryRun = isDryRun
  }

  package func writeMembers(to json: inout JSONWriter) {
    json.field("dry_run", isDryRun)
    json.field("snapshots", array: result.removed.lazy.map(RemovedSnapshotDocument.init))
    if let pruned = result.pruned { json.field("space", PruneDocument(pruned)) }
  }
}

private struct RemovedSnapshotDocument: Document {
  let candidate: Removal.Candidate

  func writeMembers(to json: inout JSONWriter) {
    let record = candidate.snapshot.record
    json.field("name", record.name)
    json.field("id", candidate.snapshot.id.hex)
    json.field("host", record.host)
    json.field("plan", record.plan)
    json.field("created", record.start.iso8601(offset: record.utcOffset))
    json.field("bytes", record.counts.bytes)
    json.field("description", record.summary)
    json.field("protected_by", strings: candidate.protections)
  }
}
