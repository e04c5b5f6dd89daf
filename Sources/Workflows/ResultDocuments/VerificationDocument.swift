package import Documents
internal import Maintenance
internal import Reporting
package import Workflows

/// What a verification has found.
package struct VerificationDocument: Document {
  package let result: VerificationWorkflow.Result

  package init(_ result: VerificationWorkflow.Result) { self.result = result }

  package func writeMembers(to json: inout JSONWriter) {
    json.field("level", result.level.rawValue)
    json.field("sound", result.counts.findings == 0)
    json.field("seconds", result.seconds)
    json.field("objects", result.counts.objects)
    json.field("bytes", result.counts.bytes)
    json.field("snapshots", result.counts.snapshots)
    json.field("entries", result.counts.entries)
    json.field("chunks", result.counts.chunks)
    json.field("finding_count", result.counts.findings)
    json.field("mended", result.counts.mended)
    json.field("findings", array: result.findings.lazy.map(FindingDocument.init))
    json.field("remarks", strings: result.remarks)
  }
}

private struct FindingDocument: Document {
  let finding: Verify.Finding

  func writeMembers(to json: inout JSONWriter) {
    json.field("message", finding.message)
    json.field("mended", finding.isMended)
    json.field("snapshot", optional: finding.snapshot)
    json.field("path", optional: finding.path.map { printable($0) })
  }
}
