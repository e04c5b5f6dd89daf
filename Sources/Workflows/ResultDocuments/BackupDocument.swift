internal import SnapshotWriting
package import Documents
internal import FileBackup
internal import RepositoryFormat
package import Workflows

/// A backup (docs/json.md, 3).
package struct BackupDocument: Document {
  package let result: BackupWorkflow.Result

  package init(_ result: BackupWorkflow.Result) { self.result = result }

  package func writeMembers(to json: inout JSONWriter) {
    let backup = result.backup
    json.field("dry_run", backup.id == nil)
    json.field("id", optional: backup.id?.hex)
    json.field("seconds", result.seconds)
    json.field("problems", backup.problems)
    json.field("missing_sources", backup.missingSources)
    SnapshotRecordDocument(backup.record).writeMembers(to: &json)
  }
}
