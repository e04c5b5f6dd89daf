import Glibc
import Platform
import Testing

@Suite struct ChildProcessTests {
  /// As the programs do.
  init() { signal(SIGPIPE, SIG_IGN) }

  private func printed(_ script: String) throws -> String {
    let (bytes, ending) = try ChildProcess.output(of: ["sh", "-c", script], limit: 1 << 20)
    #expect(ending.isSuccess)
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test func theEndOfAProgramIsTold() throws {
    #expect(try ChildProcess.run(["true"]).isSuccess)
    #expect(try ChildProcess.run(["false"]).description == "exit status 1")
    #expect(try ChildProcess.run(["sh", "-c", "exit 7"]).description == "exit status 7")
    #expect(try ChildProcess.run(["sh", "-c", "kill -9 $$"]).description == "ended by signal 9")
  }

  @Test func askingAgainGivesTheSameEnding() throws {
    let process = try ChildProcess.start(["sh", "-c", "exit 3"])
    let ending = process.wait()
    #expect(process.wait() == ending)
    #expect(process.poll() == ending)
    // Another process may have its number by now.
    process.send(SIGKILL)
  }

  @Test func aProgramThatIsNotThereIsAnErrorOfTheStart() {
    #expect(throws: Errno.notFound) { _ = try ChildProcess.start(["yester-no-such-program"]) }
    #expect(throws: Errno.notFound) { _ = try ChildProcess.start(["/nowhere/at/all"]) }
    #expect(throws: Errno.denied) { _ = try ChildProcess.start(["/dev/null"]) }
  }

  @Test func wordsReachTheProgramAsTheyAre() throws {
    let word = String(path: [0x61, 0x20, 0xFF, 0x0A, 0x2A])
    #expect(try ChildProcess.output(of: ["printf", "%s", word], limit: 100).bytes == word.pathBytes)
  }

  @Test func aRunningProgramTakesSignals() throws {
    let process = try ChildProcess.start(["sleep", "60"])
    #expect(process.poll() == nil)
    process.send(SIGTERM)
    #expect(process.wait().description == "ended by signal 15")
  }

  @Test func whileOneThreadWaitsAnotherMayEndTheProgram() throws {
    let process = try ChildProcess.start(["sleep", "60"])
    let endings = Monitor<[ChildProcess.Ending]>([])
    let waiting = try (0..<3).map { number in
      try Worker("waiting-\(number)") {
        let ending = process.wait()
        endings.withLock { $0.append(ending) }
      }
    }
    System.sleep(nanoseconds: 50_000_000)
    process.send(SIGTERM)
    for worker in waiting { worker.join() }
    #expect(endings.withLock { $0.map(\.description) } == Array(repeating: "ended by signal 15", count: 3))
  }

  @Test func aProgramGetsTheDescriptorsThatAreNamedAndNoOthers() throws {
    let (other, otherEnd) = try Descriptor.pipe()
    let (named, namedEnd) = try Descriptor.pipe()
    func ends(in script: String) throws -> Bool {
      try ChildProcess.run(["sh", "-c", script], output: .discarded, errors: .discarded, inheriting: [named]).isSuccess
    }
    #expect(try ends(in: "test -e /proc/self/fd/\(named.raw)"))
    for descriptor in [other, otherEnd, namedEnd] {
      #expect(try !ends(in: "test -e /proc/self/fd/\(descriptor.raw)"))
    }
    // In this process it stays what it was.
    #expect(fcntl(named.raw, F_GETFD) == FD_CLOEXEC)
  }

  @Test func whatIsPrintedIsReadToTheLimitAndNoFurther() throws {
    #expect(try printed("echo one; echo two >&2; echo three") == "one\nthree\n")
    #expect(try printed("head -c 200000 /dev/zero | tr '\\0' x") == String(repeating: "x", count: 200_000))
    // It would go on for ever, were it not for a pipe that nobody reads, and for SIGPIPE.
    let (bytes, ending) = try ChildProcess.output(of: ["yes"], limit: 5)
    #expect(bytes == Array("y\ny\ny".utf8))
    #expect(ending.description == "ended by signal 13")
  }

  @Test func aProgramIsFedAndSeesTheEnd() throws {
    let script = "test $(wc -c) = 300000"
    #expect(try ChildProcess.feed([UInt8](repeating: 0x61, count: 300_000), to: ["sh", "-c", script]).isSuccess)
    // This one reads nothing of it.
    #expect(try ChildProcess.feed([UInt8](repeating: 0x61, count: 300_000), to: ["true"]).isSuccess)
  }
}
