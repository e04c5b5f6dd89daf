package import Documents
package import Maintenance
internal import RepositoryFormat

/// What became of the index of a repository that was made anew.
package struct RepairDocument: Document {
  package let result: IndexRebuild.Result
  package let isDryRun: Bool

  package init(_ result: IndexRebuild.Result, isDryRun: Bool) {
    self.result = result
    self.isDryRun = isDryRun
  }

  package func writeMembers(to json: inout JSONWriter) {
    json.field("dry_run", isDryRun)
    json.field("packs", result.packs)
    json.field("bytes", result.bytes)
    json.field("chunks", result.chunks)
    json.field("packs_found", result.packsFound)
    json.field("packs_missing", result.packsMissing)
    json.field("segments_before", result.segmentsBefore)
    json.field("segments_replaced", result.segmentsReplaced)
    json.field("segments_unusable", result.segmentsUnusable)
    json.field("unreadable", array: result.unreadable.lazy.map(UnreadablePackDocument.init))
  }
}

private struct UnreadablePackDocument: Document {
  let pack: (pack: ObjectID, message: String)

  init(_ pack: (pack: ObjectID, message: String)) { self.pack = pack }

  func writeMembers(to json: inout JSONWriter) {
    json.field("pack", pack.pack.hex)
    json.field("message", pack.message)
  }
}
