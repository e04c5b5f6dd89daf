internal import BackupEngine
internal import Platform

/// Shows how far a run is: a line that is rewritten at a terminal, lines of JSON with `--json`, else nothing.
final class ProgressDisplay: Sendable {
  private enum Style { case line(columns: Int), json }
  private let progress: RunProgress
  private let isDone = Monitor(false)
  private let worker: Worker?
  private let isTerminal: Bool

  init(_ progress: RunProgress, _ options: OutputOptions, verb: String) {
    self.progress = progress
    let columns = Descriptor.terminalColumns(2)
    let style: Style? = options.quiet ? nil : options.json ? .json : columns > 20 ? .line(columns: columns) : nil
    isTerminal = if case .line = style { true } else { false }
    guard let style else {
      worker = Worker("yester-stop") { [isDone] in Self.relayStop(progress, isDone) }
      return
    }
    let start = System.bootClock
    worker = Worker("yester-progress") { [isDone] in
      while true {
        let done: Bool? = isDone.wait(milliseconds: 250) { $0 ? true : nil }
        if done == true { return }
        if Process.stop.isRaised { progress.stop.raise() }
        let seconds = Double(System.bootClock - start) / 1e9
        switch style {
        case .line(let columns): Self.showLine(progress.numbers, seconds, columns, verb)
        case .json: Self.showJSON(progress.numbers, seconds)
        }
      }
    }
  }

  private static func relayStop(_ progress: RunProgress, _ isDone: Monitor<Bool>) {
    while true {
      let done: Bool? = isDone.wait(milliseconds: 100) { $0 ? true : nil }
      if done == true { return }
      if Process.stop.isRaised { progress.stop.raise() }
    }
  }

  /// Ends the display and clears its line.
  func finish() {
    isDone.update { $0 = true }
    worker?.join()
    if isTerminal { Output.write(Array("\r\u{1B}[K".utf8), to: 2) }
  }

  /// Share done, 0 to 1, and the seconds that are left; nil when the total is not known.
  private static func estimate(_ n: RunProgress.Numbers, _ seconds: Double) -> (share: Double, left: Double)? {
    guard let entries = n.entriesTotal, let bytes = n.bytesTotal, entries > 0 else { return nil }
    let byEntries = Double(n.entries) / Double(entries)
    let share = min(0.999, bytes == 0 ? byEntries : (byEntries + Double(n.bytes) / Double(bytes)) / 2)
    return share < 0.001 ? nil : (share, seconds / share - seconds)
  }

  private static func showLine(_ n: RunProgress.Numbers, _ seconds: Double, _ columns: Int, _ verb: String) {
    let rate = seconds > 0 ? UInt64(Double(n.bytes) / seconds) : 0
    var text = "\(verb) "
    if let (share, left) = estimate(n, seconds) {
      let filled = Int(share * 20)
      text += "[\(String(repeating: "#", count: filled))\(String(repeating: ".", count: 20 - filled))] "
      text += "\(Int(share * 100)) %, \(Output.duration(left)) left, "
    }
    text += "\(Output.count(n.entries)) entries, \(Output.size(n.bytes)), \(Output.size(rate))/s  "
    let path = printable(n.path)
    let room = columns - 1 - text.count
    if room > 10 { text += path.count <= room ? path : "…" + path.suffix(room - 1) }
    Output.write(Array("\r\u{1B}[K\(text.prefix(columns - 1))".utf8), to: 2)
  }

  private static func showJSON(_ n: RunProgress.Numbers, _ seconds: Double) {
    var json = JSONWriter()
    json.beginObject()
    json.field("progress", "running")
    json.field("seconds", seconds)
    json.field("entries", n.entries)
    json.field("bytes", n.bytes)
    if let (share, left) = estimate(n, seconds) {
      json.field("share", share)
      json.field("seconds_left", left)
    }
    json.field("path", printable(n.path))
    json.endObject()
    Output.write(json.text + [0x0A], to: 2)
  }
}
