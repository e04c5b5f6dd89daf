internal import CFuse
internal import FuseMount
internal import Glibc
internal import Platform
internal import Reporting
internal import Synchronization

/// The background process before its mount is ready. The process that the user started waits meanwhile, so that a
/// script can use the mount in its next line, and gets the error when there is one.
struct Background {
  /// The process that the user started.
  struct Waiting {
    fileprivate let pipe: Descriptor
    fileprivate let child: Int32
    private static let backgroundProcess = Atomic<Int32>(0)

    /// Returns when the mount is ready. Signals that end the program go on to the background process, which may have
    /// changed the terminal to ask for a password: it is to end first.
    func wait() throws(YesterError) {
      Self.backgroundProcess.store(child, ordering: .sequentiallyConsistent)
      ProcessSettings.onTermination { number in
        let saved = errno
        kill(Waiting.backgroundProcess.load(ordering: .sequentiallyConsistent), number)
        errno = saved
      }
      // One byte of exit status, a message, a zero byte and advice; nothing when the process was killed.
      let report = (try? pipe.readAll(limit: 1 << 20)) ?? []
      guard let status = report.first else {
        var status: CInt = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        if ProcessSettings.isTerminated { throw YesterError(.interrupted, "interrupted; nothing is mounted") }
        throw YesterError(.failed, "the background process ended before the mount was ready (wait status \(status))")
      }
      guard status != 0 else { return }
      let texts = report.dropFirst().split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
      throw YesterError(
        YesterError.Code(rawValue: Int32(status)) ?? .failed,
        texts.first.map { String(decoding: $0, as: UTF8.self) } ?? "",
        advice: texts.dropFirst().first.map { String(decoding: $0, as: UTF8.self) } ?? "")
    }
  }

  enum Side {
    case parent(Waiting)
    case child(Background)
  }

  private let pipe: Descriptor

  /// Splits the process in two. There must be no other thread.
  static func begin() throws(YesterError) -> Side {
    var ends: [CInt] = [-1, -1]
    guard Glibc.pipe(&ends) == 0 else {
      let error = Errno.current
      throw YesterError(.failed, "no pipe can be made: \(error)", cause: error)
    }
    let reading = Descriptor(owning: ends[0])
    let writing = Descriptor(owning: ends[1])
    // Programs we start (fusermount3, a password command) must not keep the pipe open.
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    let child = yf_fork()
    guard child >= 0 else {
      let error = Errno.current
      throw YesterError(.failed, "no background process can be started: \(error)", cause: error)
    }
    return child == 0 ? .child(Background(pipe: writing)) : .parent(Waiting(pipe: reading, child: child))
  }

  func report(_ error: YesterError) {
    try? pipe.write(
      [UInt8(clamping: error.code.rawValue)] + Array(error.message.utf8) + [0] + Array(error.advice.utf8))
  }

  /// Lets go of terminal, session and directory, and lets the first process end with success. Only now: until here
  /// a password may be asked for, and errors belong on the terminal.
  func becomeReady() {
    setsid()
    chdir("/")
    let null = open("/dev/null", O_RDWR)
    if null >= 0 {
      for standard in 0...2 { dup2(null, CInt(standard)) }
      if null > 2 { close(null) }
    }
    DriverLog.useSystemLog()
    try? pipe.write([0])
    // Our copy of the pipe goes with the process; the other side reads to the end, so it is shut now.
    _ = Glibc.dup2(0, pipe.raw)
  }
}
