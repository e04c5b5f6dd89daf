internal import Glibc
package import Platform
internal import Reporting

/// Bytes that come once, in order: their number is known when they have ended. For one thread.
package protocol ByteStream: Sendable {
  /// Begins it.
  func start() throws
  /// Length of the hole that comes next, in bytes: zeros that take no room. 0 where data or the end comes next. Asked at
  /// the beginning, and wherever `read` has filled less than its buffer.
  func nextHole() throws -> UInt64
  /// Fills `buffer`, less only at the end or before a hole; 0 when no data follows. Throws `Stopped`.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
  /// After the end: throws when what came is not all that should have come, and `Stopped`.
  func finish() throws
  /// Gives it up, if it has begun and not finished.
  func cancel()
}

extension ByteStream {
  package func nextHole() -> UInt64 { 0 }
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
    var process: ChildProcess?
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
    let (process, output): (ChildProcess, Descriptor)
    do throws(Errno) {
      (process, output) = try ChildProcess.startPrinting(arguments)
    } catch {
      throw YesterError(
        .failed, "The command \(name) could not be started: \(error)",
        advice: "No snapshot was made. Check its name.", cause: error)
    }
    let stream = DescriptorStream(output, name: "what \(name) prints", stop: stop)
    state.withLock { $0 = State(process: process, output: stream) }
  }

  package func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    guard let output = state.withLock({ $0.output }) else { preconditionFailure("the command was started") }
    return try output.read(into: buffer)
  }

  package func finish() throws {
    guard let process = state.withLock({ $0.process }) else { return }
    while true {
      if stop.isRaised { throw Stopped() }
      if let ending = process.poll() {
        // Once more: a command that was told to end together with this process may call that a good end.
        if stop.isRaised { throw Stopped() }
        guard !ending.isSuccess else { return }
        throw YesterError(
          .failed, "The command \(arguments[0]) failed (\(ending))",
          advice: "No snapshot was made of what it printed. Run it by hand to see why.")
      }
      System.sleep(nanoseconds: Self.pollNanoseconds)
    }
  }

  package func cancel() {
    guard let process = state.withLock({ $0.process }) else { return }
    state.withLock { $0.output = nil }
    process.send(SIGTERM)
    for _ in 0..<Self.endingPolls where process.poll() == nil { System.sleep(nanoseconds: Self.pollNanoseconds) }
    process.send(SIGKILL)
    process.wait()
  }
}
