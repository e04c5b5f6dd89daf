internal import Glibc
internal import Platform
internal import Synchronization

/// The terminal that stderr may be.
enum Screen {
  /// The process has one terminal, and whoever writes to it must know what stands there.
  static let statusLine = StatusLine()

  /// Asked anew each time: windows change. 0 where stderr is no terminal.
  static var columns: Int { Descriptor.terminalColumns(STDERR_FILENO) }

  /// It can write lines and nothing else, or nobody says what it can do.
  static var isDumb: Bool { ["", "dumb", "unknown"].contains(System.environment("TERM") ?? "") }

  /// By the variables that say so, in the order in which the C library asks for them.
  static var isUTF8: Bool {
    let names = ["LC_ALL", "LC_CTYPE", "LANG"]
    let value = names.lazy.compactMap { System.environment($0) }.first { !$0.isEmpty } ?? ""
    return value.lowercased().contains("utf-8") || value.lowercased().contains("utf8")
  }
}

/// A line on the terminal that is rewritten again and again. Everything else that goes there passes by here as well, so
/// that the line is taken away before and comes back behind it. For any thread.
///
/// The cursor waits at the *beginning* of the line: when the window becomes narrower, terminals that wrap what is shown
/// leave the cursor on the first row of it, and clearing from there to the end of the screen takes all of it away.
final class StatusLine: Sendable {
  /// In one write, so that wrapping is never left switched off.
  private static let withoutWrapping = Array("\u{1B}[?7l".utf8)
  private static let withWrapping = Array("\u{1B}[?7h".utf8)
  private static let clearing: StaticString = "\r\u{1B}[J"

  private let line = Mutex<[UInt8]>([])
  /// Beside the lock, for a signal handler.
  private let isShown = Atomic(false)

  /// Shows `text`, which must fit the width.
  func show(_ text: String) {
    let text = Array(text.utf8)
    line.withLock {
      $0 = text
      paint(text)
    }
  }

  func clear() {
    line.withLock {
      if !$0.isEmpty { erase() }
      $0 = []
    }
  }

  /// Calls `body`, which writes to `number`, with the line out of the way.
  func withdrawn<Result>(for number: CInt, _ body: () -> Result) -> Result {
    line.withLock { line in
      guard !line.isEmpty, isatty(number) != 0 else { return body() }
      erase()
      defer { paint(line) }
      return body()
    }
  }

  /// Only what is safe in a signal handler.
  func eraseAtOnce() {
    if isShown.load(ordering: .relaxed) { erase() }
  }

  private func paint(_ text: [UInt8]) {
    isShown.store(true, ordering: .relaxed)
    let clearingRest = Array("\u{1B}[J".utf8)
    _ = Output.put([0x0D] + Self.withoutWrapping + text + clearingRest + Self.withWrapping + [0x0D], to: STDERR_FILENO)
  }

  private func erase() {
    _ = Glibc.write(STDERR_FILENO, Self.clearing.utf8Start, Self.clearing.utf8CodeUnitCount)
    isShown.store(false, ordering: .relaxed)
  }
}
