package import Platform

/// What went wrong, for people and programs: above the parsers and system calls this is the only error.
package struct YesterError: Error, Sendable, CustomStringConvertible {
  /// The kinds of failure. The raw value is the exit status of the programs, fixed for scripts.
  package enum Code: Int32, Sendable {
    case failed = 1
    case usage = 2
    case incomplete = 3
    case noRepository = 10
    case wrongKey = 11
    case busy = 12
    case damaged = 13
    case interrupted = 130
  }
  package let code: Code
  /// What happened, and to what: a sentence without its full stop.
  package let message: String
  /// What to do next: a whole sentence, or empty.
  package let advice: String
  /// The system's error behind it, where there was one.
  package let cause: Errno?
  /// Nil when the same call would fail again. Otherwise how long to wait before it, in nanoseconds, as far as the other
  /// side has said (`Retry-After`); 0 leaves it to the caller. A dropped connection, a server that is busy.
  package let retryDelay: Int64?
  package var isTransient: Bool { retryDelay != nil }

  package init(
    _ code: Code, _ message: String, advice: String = "", cause: Errno? = nil, retryDelay: Int64? = nil
  ) {
    self.code = code
    self.message = message
    self.advice = advice
    self.cause = cause
    self.retryDelay = retryDelay
  }

  package var description: String { advice.isEmpty ? message + "." : message + ". " + advice }

  /// A failed system call on a file outside of the repository.
  package static func system(_ doing: String, _ path: String, _ error: Errno) -> YesterError {
    YesterError(
      .failed, "\(doing) \(path) failed: \(error)", advice: advice(for: error), cause: error,
      retryDelay: isTransient(error) ? 0 : nil)
  }

  /// A question at a terminal that got no answer, as `Terminal.ask` fails. Ctrl-C and its like become error 130.
  package static func asking(_ error: Errno) -> YesterError {
    error == .interrupted
      ? YesterError(.interrupted, "Interrupted")
      : YesterError(.failed, "Asking at the terminal failed: \(error)", cause: error)
  }

  /// A walk that could not go back up from `path`: what it would have gone on with may be something else.
  package static func lost(above path: String, _ error: LostDirectory, while doing: String) -> YesterError {
    guard let cause = error.cause else {
      return YesterError(
        .failed, "The directory above \(path) was moved while \(doing)", advice: "Run the command again.")
    }
    return .system("Going back to the directory above", path, cause)
  }

  /// An object of the repository that breaks the format.
  package static func damaged(_ object: String, _ error: FormatError) -> YesterError {
    switch error.kind {
    case .needsNewerVersion:
      return YesterError(.failed, "\(object) cannot be read: \(error.message)", advice: "Install a newer yester.")
    case .needsOtherKey, .needsLaterKeys:
      return YesterError(
        .wrongKey, "\(object) cannot be read: \(error.message)",
        advice: "It is a write-only key, or the repository's keys were rotated since this run began. Use a full key, "
          + "or run the command again.")
    case .doesNotCount: return YesterError(.failed, "\(object) counts for nothing: \(error.message)")
    case .damaged: break
    }
    return YesterError(
      .damaged, "\(object) is unusable: \(error.message)",
      advice: "Run \"yester verify\" to see what is affected.")
  }

  /// Whether the same call may succeed soon. EIO does not: the system has tried as often as it holds for good.
  private static func isTransient(_ error: Errno) -> Bool {
    switch error {
    case .wouldBlock, .interrupted, .timedOut: true
    // The file was replaced on the server; its name leads to what is there now.
    case .stale: true
    default: false
    }
  }

  static func advice(for error: Errno) -> String {
    switch error {
    case .noSpace, .overQuota: "Free some space there and run the command again; nothing that was stored is lost."
    case .readOnly: "The file system is read-only; mount it writable or choose another place."
    case .denied, .notPermitted: "Run the command as a user who may do that, or as root."
    case .tooLarge: "The file system cannot hold so large a file (FAT: 4 GiB at most); choose another one."
    case .inputOutput, .notConnected, .connectionAborted, .noDevice, .noSuchDevice, .shutDown, .stale:
      "The disk, or the connection to it, may be gone or failing: see whether it is connected, and what the system's "
        + "log says; unmount it and mount it again, then run the command again. Nothing that was stored is lost by that."
    default: ""
    }
  }
}
