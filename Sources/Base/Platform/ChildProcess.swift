internal import Glibc
internal import Synchronization

/// Another program that this one has started. For any thread.
///
/// This is the one door to other programs. Of this process they get the descriptors that are named here, the environment
/// and the process group, so that Ctrl-C reaches both; no other descriptor. They get signals as programs expect them,
/// SIGPIPE too, which this process ignores.
package final class ChildProcess: Sendable {
  /// Where one of a program's standard streams leads.
  package enum Stream: Sendable {
    /// Where this process's own leads.
    case inherited
    /// To /dev/null.
    case discarded
    case descriptor(Descriptor)
  }

  /// How a program has ended.
  package struct Ending: Sendable, Equatable, CustomStringConvertible {
    /// As waitpid(2) gives it; nil when nobody knows.
    let status: CInt?

    package var isSuccess: Bool { status == 0 }
    package var description: String {
      guard let status else { return "nobody knows how" }
      let signal = status & 0x7F
      return signal == 0 ? "exit status \(status >> 8 & 0xFF)" : "ended by signal \(signal)"
    }
  }

  private let id: pid_t
  /// Nil while it runs, or nobody has asked how it ended: until then the system keeps its number from others.
  private let ending = Mutex<Ending?>(nil)

  private init(_ id: pid_t) { self.id = id }

  /// Starts a program. `arguments` are its words, its name first, which is looked for on the path unless it has a slash
  /// in it. `inheriting` keep their numbers in it. Throws why it cannot be started: `Errno.notFound`, say.
  package static func start(
    _ arguments: [String], input: Stream = .inherited, output: Stream = .inherited, errors: Stream = .inherited,
    inheriting descriptors: [Descriptor] = []
  ) throws(Errno) -> ChildProcess {
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    for (number, stream) in [input, output, errors].enumerated() {
      switch stream {
      case .inherited: break
      case .discarded:
        posix_spawn_file_actions_addopen(&actions, CInt(number), "/dev/null", number == 0 ? O_RDONLY : O_WRONLY, 0)
      case .descriptor(let descriptor): posix_spawn_file_actions_adddup2(&actions, descriptor.raw, CInt(number))
      }
    }
    // To its own number: that alone takes close-on-exec away, in the program only.
    for descriptor in descriptors { posix_spawn_file_actions_adddup2(&actions, descriptor.raw, descriptor.raw) }
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGPIPE)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    // Threads of a pool hold all signals back, and a program that one of them starts would go on doing so.
    var mask = sigset_t()
    sigemptyset(&mask)
    posix_spawnattr_setsigmask(&attributes, &mask)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
    var id = pid_t()
    let error = withWords(arguments) { posix_spawnp(&id, $0, &actions, &attributes, $1, environ) }
    // They are open until here.
    withExtendedLifetime((input, output, errors, descriptors)) {}
    guard error == 0 else { throw Errno(rawValue: error) }
    return ChildProcess(id)
  }

  /// Starts a program and waits for its end.
  package static func run(
    _ arguments: [String], output: Stream = .inherited, errors: Stream = .inherited,
    inheriting descriptors: [Descriptor] = []
  ) throws(Errno) -> Ending {
    try start(arguments, output: output, errors: errors, inheriting: descriptors).wait()
  }

  /// Starts a program; what it prints to its standard output comes out of a pipe, which ends when it does.
  package static func startPrinting(
    _ arguments: [String]
  ) throws(Errno) -> (process: ChildProcess, output: Descriptor) {
    // This process's own end for writing goes with this function: while it stood, the pipe would have no end.
    let (reading, writing) = try Descriptor.pipe()
    return (try start(arguments, output: .descriptor(writing)), reading)
  }

  /// What a program prints to its standard output, and how it has ended. After `limit` bytes nobody reads any more,
  /// which ends most programs.
  package static func output(of arguments: [String], limit: Int) throws(Errno) -> (bytes: [UInt8], ending: Ending) {
    let (process, output) = try startPrinting(arguments)
    // The pipe is closed before anybody waits: the program may have more to say.
    let bytes = first(limit, of: consume output)
    return (bytes, process.wait())
  }

  private static func first(_ limit: Int, of pipe: consuming Descriptor) -> [UInt8] {
    var bytes: [UInt8] = []
    let buffer = Bytes(capacity: 4096)
    while bytes.count < limit, let got = try? pipe.readSome(into: buffer.whole), got > 0 {
      bytes += UnsafeRawBufferPointer(rebasing: buffer.whole[..<min(got, limit - bytes.count)])
    }
    return bytes
  }

  /// Starts a program whose standard input is `bytes`, and waits for its end. It need not read them all: this process
  /// ignores SIGPIPE.
  package static func feed(_ bytes: [UInt8], to arguments: [String]) throws(Errno) -> Ending {
    let (reading, writing) = try Descriptor.pipe()
    let process = try start(arguments, input: .descriptor(consume reading))
    put(bytes, into: consume writing)
    return process.wait()
  }

  private static func put(_ bytes: [UInt8], into pipe: consuming Descriptor) { try? pipe.write(bytes) }

  /// Becomes another program, in this process. Returns only when that fails, with the reason.
  package static func become(_ arguments: [String], inheriting descriptors: [Descriptor] = []) -> Errno {
    for descriptor in descriptors { _ = fcntl(descriptor.raw, F_SETFD, 0) }
    let error = withWords(arguments) { name, words in
      execvp(name, words)
      return Errno.current
    }
    for descriptor in descriptors { _ = fcntl(descriptor.raw, F_SETFD, FD_CLOEXEC) }
    return error
  }

  /// Waits for the end. A signal does not cut it short.
  @discardableResult
  package func wait() -> Ending {
    // Once it was collected, another program may have its number.
    if let known = ending.withLock({ $0 }) { return known }
    // Without the lock, so that others can send it signals meanwhile; whoever takes the lock first collects it.
    var info = siginfo_t()
    while waitid(P_PID, id_t(id), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
    return ending.withLock { ending in
      let result = ending ?? Self.collect(id, 0) ?? Ending(status: nil)
      ending = result
      return result
    }
  }

  /// How it has ended; nil while it runs.
  package func poll() -> Ending? {
    ending.withLock { ending in
      ending = ending ?? Self.collect(id, WNOHANG)
      return ending
    }
  }

  /// Sends it a signal, unless it has ended and somebody knows.
  package func send(_ signal: CInt) {
    ending.withLock { ending in
      if ending == nil { kill(id, signal) }
    }
  }

  private static func collect(_ id: pid_t, _ options: CInt) -> Ending? {
    var status: CInt = 0
    while true {
      let ended = waitpid(id, &status, options)
      if ended == id { return Ending(status: status) }
      if ended == 0 { return nil }
      if errno != EINTR { return Ending(status: nil) }
    }
  }

  /// The first word, and all of them as C has them, with nil at the end.
  private static func withWords<Value>(
    _ arguments: [String], _ body: (UnsafePointer<CChar>, [UnsafeMutablePointer<CChar>?]) -> Value
  ) -> Value {
    let words = arguments.map { $0.pathBytes.withCPath { strdup($0) } }
    defer { for word in words { free(word) } }
    return arguments[0].pathBytes.withCPath { body($0, words + [nil]) }
  }
}
