internal import Glibc
internal import Platform
internal import Synchronization

/// Standard output, to which results go.
///
/// That nobody reads it any more (EPIPE) is no error, and nothing is said: `yester list | head -1` is done. Nor does it
/// end the program, which may be in the middle of something: what else is written is thrown away. Any other error is
/// told once, and makes a run fail in the end that succeeded otherwise.
enum StandardOutput {
  private enum State { case open, readerGone, failed }
  private static let state = Mutex(State.open)

  static var isReaderGone: Bool { state.withLock { $0 == .readerGone } }
  /// Of a run without another error.
  static var exitStatus: Int32 { state.withLock { $0 == .failed ? 1 : 0 } }

  /// Lets go of it, so that whoever reads it comes to the end.
  static func close() {
    state.withLock { $0 = .readerGone }
    // The number stays taken: the next file to be opened must not get it.
    if let nothing = try? Descriptor.open("/", Descriptor.pathOnly) { dup2(nothing.raw, 1) }
  }

  /// Whether the reader of the pipe that it is has ended.
  static var isGone: Bool {
    var output = pollfd(fd: 1, events: 0, revents: 0)
    return isReaderGone || (poll(&output, 1, 0) > 0 && output.revents & Int16(POLLERR) != 0)
  }

  /// Whether `bytes` were written.
  @discardableResult
  static func write(_ bytes: [UInt8]) -> Bool {
    guard state.withLock({ $0 == .open }) else { return false }
    guard let error = Screen.statusLine.withdrawn(for: 1, { Output.put(bytes, to: 1) }) else { return true }
    let isNew = state.withLock { present in
      defer { present = error.rawValue == EPIPE ? .readerGone : .failed }
      return present == .open
    }
    if isNew && error.rawValue != EPIPE {
      Output.note("yester: The result could not be written to standard output: \(error).")
    }
    return false
  }
}
