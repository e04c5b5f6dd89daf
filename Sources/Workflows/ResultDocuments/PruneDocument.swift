package import Documents
package import Maintenance
internal import Platform

/// What was given back of a repository's space.
package struct PruneDocument: Document {
  package let result: Prune.Result

  package init(_ result: Prune.Result) { self.result = result }

  package func writeMembers(to json: inout JSONWriter) {
    json.field("packs_before", result.packsBefore)
    json.field("bytes_before", result.bytesBefore)
    json.field("packs_deleted", result.packsDeleted)
    json.field("packs_rewritten", result.packsRewritten)
    json.field("packs_condemned", result.packsCondemned)
    json.field("packs_waiting", result.packsWaiting)
    json.field("bytes_freed", result.bytesFreed)
    json.field("waiting_for", strings: result.waitingFor)
    if let time = result.waitingUntil { json.field("waiting_until", Timestamp(seconds: time).iso8601(offset: 0)) }
    json.field("snapshots_taken_back", strings: result.snapshotsTakenBack)
  }
}
