internal import CLinux
internal import Glibc

/// A terminal at which a person can be asked. For the programs alone, both of which ask: a library gets a question as
/// a parameter, since whoever calls it may have no terminal or nobody at it.
///
/// However a question ends, the terminal is left as it was found: after an answer, after an error, when a signal ends
/// the program (Ctrl-C and Ctrl-\ are such), and while it is stopped (Ctrl-Z). Signals do nothing themselves but wake
/// the asking thread, as any thread may get them. One question at a time in a process.
package struct Terminal: Sendable {
  /// What ends the waiting for an answer.
  private enum Event { case input, end, stop, goOn }
  private static let answerSizeMax = 65536
  private let device: Descriptor
  /// The same to read from. Nothing is left there when somebody else was faster; signals are heard all the same.
  private let input: Descriptor

  /// The terminal that the process belongs to, wherever its input and output go; nil when there is none.
  package static func controlling() -> Terminal? {
    let path = "/dev/tty"
    guard let device = try? Descriptor.open(path, O_RDWR | O_NOCTTY),
      let input = try? Descriptor.open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK)
    else { return nil }
    return Terminal(device: device, input: input)
  }

  /// The terminal that is standard input; nil when that is none.
  package static func standardInput() -> Terminal? {
    guard isatty(0) != 0 else { return nil }
    let copy = fcntl(0, F_DUPFD_CLOEXEC, 3)
    guard copy >= 0 else { return nil }
    let device = Descriptor(owning: copy)
    return Terminal(device: device, input: device)
  }

  /// Whether a program reads it key by key, as pagers and editors do: an answer would be taken for its commands.
  package var isReadByKey: Bool {
    var mode = termios()
    return tcgetattr(device.raw, &mode) == 0 && mode.c_lflag & tcflag_t(ICANON) == 0
  }

  package func write(_ text: String) throws(Errno) { try device.write(Array(text.utf8)) }

  /// Shows `question` and gives the line that is typed, without its end; nil when the input ends instead of an answer.
  /// What was typed before the question is thrown away. Throws `Errno.interrupted` when a signal asks the program to
  /// end, or has asked it before.
  package func ask(_ question: String, isHidden: Bool) throws(Errno) -> [UInt8]? {
    if ProcessSettings.isTerminated { throw .interrupted }
    var ends: [CInt] = [-1, -1]
    try posix(pipe(&ends))
    let (signals, sender) = (Descriptor(owning: ends[0]), Descriptor(owning: ends[1]))
    for end in ends {
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
    yl_signals_to(sender.raw)
    defer { yl_signals_back() }
    return try answer(question, isHidden, signals)
  }

  private func answer(_ question: String, _ isHidden: Bool, _ signals: Descriptor) throws(Errno) -> [UInt8]? {
    var before = try prepare(isHidden)
    var isLineEnded = false
    defer {
      restore(before)
      if !isLineEnded || isHidden { try? write("\n") }
    }
    try write(question)
    var line: [UInt8] = []
    while true {
      switch try wait(signals) {
      case .input:
        guard let more = try read() else { return line.isEmpty ? nil : line }
        line += more
        if let end = line.firstIndex(where: { $0 == 0x0A || $0 == 0x0D }) {
          isLineEnded = true
          return Array(line[..<end])
        }
        if line.count > Self.answerSizeMax { throw .tooLarge }
      case .end: throw .interrupted
      case .stop:
        restore(before)
        yl_stop_self()
        // Whoever had the terminal meanwhile may have left it in another state.
        before = try prepare(isHidden)
        line = []
        try write(question)
      case .goOn:
        // After SIGSTOP, of which nobody is told before.
        guard !isPrepared(isHidden) else { continue }
        before = try prepare(isHidden)
        line = []
        try write("\n" + question)
      }
    }
  }

  /// Sets the terminal up for the question; gives how it was.
  private func prepare(_ isHidden: Bool) throws(Errno) -> termios {
    var before = termios()
    try posix(tcgetattr(device.raw, &before))
    var mode = before
    mode.c_iflag |= tcflag_t(ICRNL)
    mode.c_lflag |= tcflag_t(ICANON | ISIG)
    if isHidden { mode.c_lflag &= ~tcflag_t(ECHO | ECHONL) }
    try set(mode, TCSAFLUSH)
    return before
  }

  private func isPrepared(_ isHidden: Bool) -> Bool {
    var mode = termios()
    return tcgetattr(device.raw, &mode) == 0 && (!isHidden || mode.c_lflag & tcflag_t(ECHO) == 0)
  }

  /// Does nothing from the background: the terminal is the shell's again, which sets it up as it likes.
  private func restore(_ mode: termios) {
    guard tcgetpgrp(device.raw) == getpgrp() else { return }
    try? set(mode, TCSANOW)
  }

  private func set(_ mode: termios, _ when: CInt) throws(Errno) {
    var mode = mode
    while tcsetattr(device.raw, when, &mode) != 0 {
      if errno != EINTR { throw .current }
    }
  }

  private func wait(_ signals: Descriptor) throws(Errno) -> Event {
    var sources = [
      pollfd(fd: signals.raw, events: Int16(POLLIN), revents: 0),
      pollfd(fd: input.raw, events: Int16(POLLIN), revents: 0),
    ]
    while poll(&sources, 2, -1) < 0 {
      if errno != EINTR { throw .current }
    }
    guard sources[0].revents != 0 else { return .input }
    var number: UInt8 = 0
    guard Glibc.read(signals.raw, &number, 1) == 1 else { return .goOn }
    switch CInt(number) {
    case SIGTSTP: return .stop
    case SIGCONT: return .goOn
    default: return .end
    }
  }

  /// What has been typed, or nothing; nil at the end of the input.
  private func read() throws(Errno) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = Glibc.read(input.raw, &buffer, buffer.count)
    if count >= 0 { return count == 0 ? nil : Array(buffer.prefix(count)) }
    if errno == EAGAIN || errno == EINTR { return [] }
    throw .current
  }
}
