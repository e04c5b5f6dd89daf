internal import Documents
internal import Platform
internal import Reporting
internal import TerminalText

/// Shows how far a run is: a line that is rewritten at a terminal, lines now and then at one that cannot do that, lines
/// of JSON with `--json`, else nothing. Hands interruptions on to the run.
final class ProgressDisplay: Sendable {
  private enum Style { case line, plain, json, none }
  /// What a terminal shows is made anew so often, whatever happens.
  private static let intervalMilliseconds = 250
  private let isDone = Monitor(false)
  /// Nil where the system has no room for it: a run does not fail for want of a display.
  private let worker: Worker?
  private let list: EntryList?

  /// `verb` says what is done where the run has no phases. What `list` gathers is shown in time.
  init(_ progress: RunProgress, _ options: OutputOptions, verb: String, list: EntryList? = nil) {
    self.list = list
    let style = Self.style(options)
    let start = System.bootClock
    worker = Worker(ifThereIsRoom: "yester-progress") { [isDone] in
      var meter = Meter(verb: verb)
      var plain = PlainPace()
      while true {
        let done: Bool? = isDone.wait(milliseconds: Self.intervalMilliseconds) { $0 ? true : nil }
        if done == true { return }
        list?.flush()
        if style == .none { continue }
        let seconds = Double(System.bootClock - start) / 1e9
        meter.update(progress.numbers, seconds: seconds)
        switch style {
        case .line where Descriptor.isInForeground(2):
          Screen.statusLine.show(meter.line.text(columns: Screen.columns))
        case .plain where plain.isDue(seconds): Output.note(meter.line.text(columns: Screen.columns))
        case .json: Output.write(meter.json + [0x0A], to: 2)
        default: break
        }
      }
    }
  }

  /// Whether anybody will see how far a run is.
  static func isSeen(_ options: OutputOptions) -> Bool { style(options) != .none }

  private static func style(_ options: OutputOptions) -> Style {
    if options.quiet { return .none }
    if options.json { return .json }
    return Screen.columns == 0 ? .none : Screen.isDumb ? .plain : .line
  }

  /// Ends the display and clears its line. More than once does no harm.
  func finish() {
    isDone.update { $0 = true }
    worker?.join()
    list?.flush()
    Screen.statusLine.clear()
  }
}

/// When a terminal that keeps every line gets one more: every ten seconds in the first minute, then every minute.
private struct PlainPace {
  private var next = 10.0
  mutating func isDue(_ seconds: Double) -> Bool {
    guard seconds >= next else { return false }
    next = seconds < 60 ? seconds + 10 : seconds + 60
    return true
  }
}

/// Turns the numbers of a run into what is shown.
private struct Meter {
  private let verb: String
  private let isUTF8 = Screen.isUTF8
  private var estimator = ProgressEstimator()
  private var numbers = RunProgress.Numbers()
  private var seconds = 0.0
  private var phaseStart = 0.0

  init(verb: String) { self.verb = verb }

  mutating func update(_ now: RunProgress.Numbers, seconds: Double) {
    if now.phaseNumber != numbers.phaseNumber {
      estimator = ProgressEstimator()
      phaseStart = self.seconds
    }
    numbers = now
    self.seconds = seconds
    var state = ProgressEstimator.State()
    state.seconds = seconds - phaseStart
    state.entries = now.entries
    state.bytes = now.bytes
    state.skippedBytes = now.skippedBytes
    state.entriesTotal = now.entriesTotal
    state.bytesTotal = now.bytesTotal
    estimator.update(state)
  }

  private var words: String {
    switch numbers.phase {
    case nil: verb
    case .finish: "Finishing"
    case .compare: "Comparing"
    case .prove: "Checking"
    case .restore: "Restoring"
    case .verify: "Verifying"
    case .mark: "Examining"
    case .copy: "Copying"
    case .delete: "Deleting"
    }
  }

  var line: ProgressLine {
    var line = ProgressLine()
    line.verb = words
    line.entries = numbers.entries
    line.entriesTotal = numbers.entriesTotal
    line.bytes = numbers.allBytes
    line.bytesTotal = numbers.bytesTotal
    line.bytesPerSecond = estimator.bytesPerSecond
    line.entriesPerSecond = estimator.entriesPerSecond
    line.seconds = seconds
    line.share = estimator.share
    line.secondsLeft = estimator.secondsLeft
    if !numbers.path.isEmpty { line.path = VisibleName([0x2F] + numbers.path, isUTF8: isUTF8) }
    return line
  }

  var json: [UInt8] {
    let document = ProgressDocument(
      numbers, seconds: seconds, share: estimator.share, secondsLeft: estimator.secondsLeft)
    return document.text(indented: false)
  }
}
