package import Reporting
package import SnapshotTree

/// How far a run is (docs/json.md, 1.1).
package struct ProgressDocument: Document {
  package let numbers: RunProgress.Numbers
  /// Since the run began.
  package let seconds: Double
  /// Of the phase that is done, 0 to 1; nil while nobody can say.
  package let share: Double?
  /// Of the phase; nil while nobody can say.
  package let secondsLeft: Double?

  package init(_ numbers: RunProgress.Numbers, seconds: Double, share: Double?, secondsLeft: Double?) {
    self.numbers = numbers
    self.seconds = seconds
    self.share = share
    self.secondsLeft = secondsLeft
  }

  package func writeMembers(to json: inout JSONWriter) {
    json.field("progress", "running")
    if let phase = numbers.phase { json.field("phase", phase.rawValue) }
    json.field("seconds", seconds)
    json.field("entries", numbers.entries)
    json.field("bytes", numbers.allBytes)
    if let share { json.field("share", share) }
    if let secondsLeft { json.field("seconds_left", secondsLeft) }
    json.field("path", printable(numbers.path))
  }
}

/// What became of one entry (docs/json.md, 1.4).
package struct EntryEventDocument: Document {
  package let event: EntryEvent

  package init(_ event: EntryEvent) { self.event = event }

  package func writeMembers(to json: inout JSONWriter) {
    json.field("entry", event.kind.rawValue)
    if let type = event.type { json.field("type", type.word) }
    PathDocument(event.path).writeMembers(to: &json)
    if let size = event.size { json.field("size", size) }
    if let reason = event.reason { json.field("reason", reason) }
  }
}
