internal import Glibc
internal import Platform
internal import Reporting

/// Asks a person: whether to go on, before something is changed or deleted, and for passwords.
enum Question {
  private static let checkMilliseconds: Int64 = 50

  /// Whether there is somebody to ask: standard input is a terminal. A script is not asked.
  static var isPossible: Bool { isatty(0) != 0 }

  /// Asks "Go on? [y/N]" at the terminal. Anything but a yes is a no, and so is a signal to end.
  ///
  /// `isShown` says that what it is about was written to standard output. Where that is no terminal, whoever is asked
  /// may not have seen it, so that `list` shows it at the terminal as well, a line at a time.
  static func goOn(isShown: Bool, list: (_ line: (String) -> Void) -> Void) throws(YesterError) -> Bool {
    guard let terminal = Terminal.controlling() ?? Terminal.standardInput() else {
      throw YesterError(.failed, "There is no terminal to ask at", advice: "Use --yes to go on without a question.")
    }
    do throws(Errno) {
      if isatty(1) == 0 { try waitForReader(terminal) }
      if !isShown || isatty(1) == 0 { list { try? terminal.write($0.visible + "\n") } }
      let answer = try terminal.ask("Go on? [y/N] ", isHidden: false) ?? []
      return ["y", "yes"].contains(String(decoding: answer, as: UTF8.self).lowercased())
    } catch {
      guard error == .interrupted else { throw YesterError.asking(error) }
      return false
    }
  }

  /// Asks for a password, without showing what is typed. Nil when there is no terminal, or when the input ended instead
  /// of an answer. Ctrl-C and its like become error 130.
  static func password(_ question: String) throws(YesterError) -> [UInt8]? {
    guard let terminal = Terminal.controlling() else { return nil }
    do throws(Errno) {
      return try terminal.ask(question, isHidden: true)
    } catch {
      throw YesterError.asking(error)
    }
  }

  /// Waits until the other end of the pipe has read everything. When that is a pager, it has the keyboard for itself,
  /// but waits for the end of its input before it obeys any key: then the pipe is closed, and this waits until the
  /// pager has given the terminal back.
  private static func waitForReader(_ terminal: Terminal) throws(Errno) {
    try wait { StandardOutput.isGone || unreadBytes == 0 }
    guard terminal.isReadByKey else { return }
    StandardOutput.close()
    try wait { !terminal.isReadByKey }
  }

  private static func wait(until condition: () -> Bool) throws(Errno) {
    while !condition() {
      if Termination.stop.isRaised { throw .interrupted }
      System.sleep(nanoseconds: checkMilliseconds * 1_000_000)
    }
  }

  /// Bytes in the pipe that is standard output; 0 when it is none.
  private static var unreadBytes: CInt {
    var count: CInt = 0
    return ioctl(1, UInt(FIONREAD), &count) == 0 ? count : 0
  }
}
