internal import CFuse
internal import Glibc
internal import Platform
internal import Synchronization

/// What the driver has to say to its administrator: one line for each event, on stderr while it is in the
/// foreground, in the system log otherwise. A damaged disk can make thousands of events a second, so lines beyond a
/// limit are only counted.
package enum DriverLog {
  package enum Level: Int32, Sendable {
    case error = 3
    case warning = 4
    case notice = 5
  }

  private struct State {
    var goesToSystem = false
    var windowBegan: Int64 = 0
    var linesInWindow = 0
    var suppressed = 0
    var lastFuseLine = ""
    /// Before a mount stands, its error carries what libfuse said; later there is only the log.
    var logsFuse = false
  }

  private static let windowNanoseconds: Int64 = 10_000_000_000
  private static let linesPerWindow = 50
  private static let state = Mutex(State())

  /// From now on lines go to the system log.
  package static func useSystemLog() {
    // openlog keeps the pointer; a literal lives for ever.
    let name: StaticString = "yesterfs"
    name.withUTF8Buffer { buffer in
      buffer.baseAddress?.withMemoryRebound(to: CChar.self, capacity: buffer.count) { yf_open_syslog($0) }
    }
    state.withLock { $0.goesToSystem = true }
  }

  package static func write(_ level: Level, _ text: String) {
    let now = System.bootClock
    let (lines, toSystem) = state.withLock { state -> ([String], Bool) in
      var lines: [String] = []
      if now - state.windowBegan > windowNanoseconds {
        if state.suppressed > 0 { lines.append("\(state.suppressed) more lines were left out") }
        state.windowBegan = now
        state.linesInWindow = 0
        state.suppressed = 0
      }
      if state.linesInWindow < linesPerWindow {
        state.linesInWindow += 1
        lines.append(text)
      } else {
        state.suppressed += 1
      }
      return (lines, state.goesToSystem)
    }
    for line in lines { send(oneLine(line).visible, level, toSystem: toSystem) }
  }

  /// Leads libfuse's own messages here.
  static func captureFuse() {
    yf_set_log { level, line in
      guard let line else { return }
      DriverLog.takeFuseLine(String(cString: line), level: level)
    }
  }

  /// The last message of libfuse, for the error that it explains.
  static func takeLastFuseLine() -> String {
    state.withLock { state in
      defer { state.lastFuseLine = "" }
      return state.lastFuseLine
    }
  }

  static func beginToLogFuse() { state.withLock { $0.logsFuse = true } }

  private static func takeFuseLine(_ line: String, level: Int32) {
    let text = oneLine(line)
    let isLogged = state.withLock { state in
      state.lastFuseLine = text
      return state.logsFuse
    }
    if isLogged && level <= Level.error.rawValue { write(.error, text) }
  }

  private static func oneLine(_ text: String) -> String {
    var end = text[...]
    while end.last?.isNewline == true { end.removeLast() }
    return String(end.map { $0.isNewline ? " " : $0 })
  }

  private static func send(_ line: String, _ level: Level, toSystem: Bool) {
    if toSystem {
      yf_syslog(level.rawValue, line)
    } else {
      let bytes = Array("yesterfs: \(line)\n".utf8)
      _ = bytes.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
    }
  }
}
