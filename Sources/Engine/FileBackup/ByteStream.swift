internal import Glibc
package import Platform
internal import Reporting

/// Bytes that come once, in order: their number is known when they have ended. For one thread.
package protocol ByteStream: Sendable {
  /// Begins it.
  func start() throws
  /// Fills `buffer`, less only at the end; 0 when nothing follows. Throws `Stopped`.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
  /// After the end: throws when what came is not all that should have come, and `Stopped`.
  func finish() throws
  /// Gives it up, if it has begun and not finished.
  func cancel()
}

/// What a descriptor gives: a pipe, above all. Nobody can tell there whether the other end has ended well.
package final class DescriptorStream: ByteStream {
  private static let pollMilliseconds: CInt = 200

  private let descriptor: Descriptor
  private let name: String
  private let stop: CancellationFlag

  /// `name` is for messages; `stop` ends the waiting for more.
  package init(_ descriptor: Descriptor, name: String, stop: CancellationFlag) {
    self.descriptor = descriptor
    self.name = name
    self.stop = stop
  }

  package func start() throws {}
  package func cancel() {}

  /// What ends this process mostly ends the one at the other end of the pipe as well (Ctrl-C reaches both): then the
  /// end of the stream is none.
  package func finish() throws {
    if stop.isRaised { throw Stopped() }
  }

  package func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    var done = 0
    while done < buffer.count {
      if stop.isRaised { throw Stopped() }
      var waiting = pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0)
      // A signal ends the waiting, and may have raised the flag.
      guard poll(&waiting, 1, Self.pollMilliseconds) > 0 else { continue }
      do throws(Errno) {
        let got = try descriptor.readSome(into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...]))
        if got == 0 { break }
        done += got
      } catch {
        // Where nobody waits in a read, somebody else may have been faster.
        if error == .wouldBlock { continue }
        throw YesterError.system("Reading", name, error)
      }
    }
    return done
  }
}

/// What a command prints. It counts only when the command ends well.
package final class CommandStream: ByteStream {
  private struct State {
    var process: pid_t?
    var output: DescriptorStream?
  }
  private static let pollNanoseconds: Int64 = 20_000_000
  /// For a command to end after it was told to.
  private static let endingPolls = 250

  private let arguments: [String]
  private let stop: CancellationFlag
  private let state = Monitor(State())

  /// `arguments` are the words of the command, its name first; it is looked for on the path.
  package init(_ arguments: [String], stop: CancellationFlag) {
    self.arguments = arguments
    self.stop = stop
  }

  /// Its input and its errors are those of this process.
  package func start() throws {
    let name = arguments[0]
    let (output, input): (Descriptor, Descriptor)
    do throws(Errno) {
      (output, input) = try Descriptor.pipe()
    } catch { throw YesterError(.failed, "No pipe could be made: \(error)", cause: error) }
    let (process, error) = Self.spawn(arguments, output: input)
    guard error == 0 else {
      throw YesterError(
        .failed, "The command \(name) could not be started: \(Errno(rawValue: error))",
        advice: "No snapshot was made. Check its name.")
    }
    let stream = DescriptorStream(output, name: "what \(name) prints", stop: stop)
    state.withLock { $0 = State(process: process, output: stream) }
  }

  private static func spawn(_ arguments: [String], output: Descriptor) -> (pid_t, CInt) {
    var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { argument in
      argument.pathBytes.withCPath { strdup($0) }
    }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    posix_spawn_file_actions_adddup2(&actions, output.raw, 1)
    // This process ignores SIGPIPE, which a program of the shell's world does not expect to be.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGPIPE)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
    var process = pid_t()
    let error = posix_spawnp(&process, arguments[0], &actions, &attributes, pointers, environ)
    return (process, error)
  }

  package func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    guard let output = state.withLock({ $0.output }) else { preconditionFailure("the command was started") }
    return try output.read(into: buffer)
  }

  package func finish() throws {
    while true {
      if stop.isRaised { throw Stopped() }
      if let status = reap() {
        // Once more: a command that was told to end together with this process may call that a good end.
        if stop.isRaised { throw Stopped() }
        guard status != 0 else { return }
        throw YesterError(
          .failed, "The command \(arguments[0]) failed (\(Self.words(status)))",
          advice: "No snapshot was made of what it printed. Run it by hand to see why.")
      }
      System.sleep(nanoseconds: Self.pollNanoseconds)
    }
  }

  package func cancel() {
    guard let process = state.withLock({ $0.process }) else { return }
    state.withLock { $0.output = nil }
    kill(process, SIGTERM)
    for _ in 0..<Self.endingPolls where reap() == nil { System.sleep(nanoseconds: Self.pollNanoseconds) }
    guard state.withLock({ $0.process }) != nil else { return }
    kill(process, SIGKILL)
    while reap() == nil { System.sleep(nanoseconds: Self.pollNanoseconds) }
  }

  /// Its wait status once it has ended.
  private func reap() -> CInt? {
    state.withLock { state in
      guard let process = state.process else { return 0 }
      var status: CInt = 0
      let ended = waitpid(process, &status, WNOHANG)
      if ended == 0 || (ended < 0 && errno == EINTR) { return nil }
      state.process = nil
      // Nobody knows how it ended.
      return ended < 0 ? -1 : status
    }
  }

  private static func words(_ status: CInt) -> String {
    let signal = status & 0x7F
    return signal == 0 ? "exit status \(status >> 8 & 0xFF)" : "ended by signal \(signal)"
  }
}
