internal import CFuse
internal import Glibc
internal import Platform
internal import SnapshotTree
internal import Synchronization

/// The threads that receive requests and handle them.
///
/// libfuse's own loop wakes a thread for each request and may sleep through the end (libfuse issues 997, 1572). Here
/// a worker that has handled a request looks for the next one without sleeping for a moment (`SpinBudget`).
///
/// Roles: a *listener* reads the device, spins, and at last sleeps in poll(2); at most one sleeps there, since all
/// who poll would wake for each request. The others are *parked*. A parked worker is called up when there is a
/// backlog (two requests in a row were waiting already), before a large read, and by the *standby*: one of the
/// parked looks every 2 ms, while there is activity, whether all listeners are held up in a request. The first two
/// ways lead to as many active workers as were asked for; the standby takes *spare* threads, too, so that reads that
/// hang at a slow store do not keep others from listing directories. An idle mount has one thread in poll(2) and the
/// others in an untimed wait: nothing wakes up.
final class WorkerPool: Sendable {
  private struct Parking {
    var parked = 0
    /// How many are called up and have not noticed yet.
    var calls = 0
    var hasStandby = false
    /// The standby waits without a timeout until there is activity again.
    var isStandbyAsleep = false
    var running = 0
    var isEnding = false
  }

  /// A read from here on may take long enough that another worker should listen meanwhile.
  private static let largeRead = 256 << 10
  private static let spareThreads = 6
  private static let standbyMilliseconds = 2
  /// So many quiet looks, and the standby goes to sleep.
  private static let standbyPatience = 50

  private let session: SessionHandle
  private let device: CInt
  /// Written to when the mount was taken away.
  private let exitEvent: CInt
  /// Can be read when the workers are to go home. Not `exitEvent`: whoever asks for the end does so before the last who
  /// needs an answer, this process among them, has got it.
  private let homeEvent = Descriptor(owning: yf_eventfd())
  private let processors = System.processorCount
  private let threads: Int
  private let counts: RequestCounts
  private let parking = Monitor(Parking())

  private let listening = Atomic(0)
  private let parked = Atomic(0)
  private let served = Atomic(0)
  private let isPolling = Atomic(false)
  private let isStandbyAsleep = Atomic(false)
  private let isEnding = Atomic(false)

  /// `exitEvent` is an eventfd, which is written to when the mount was taken away. `threads` work at a time while none
  /// hangs.
  init(session: SessionHandle, device: CInt, exitEvent: CInt, threads: Int, counts: RequestCounts) {
    self.threads = threads
    self.counts = counts
    self.session = session
    self.device = device
    self.exitEvent = exitEvent
  }

  /// Throws when there is no room for all of them; those that run go on until `end`.
  func start() throws(Errno) {
    for number in 0..<threads + Self.spareThreads {
      parking.withLock { $0.running += 1 }
      do throws(Errno) {
        _ = try Worker("yfs-worker\(number)") { [self] in work() }
      } catch {
        parking.update { $0.running -= 1 }
        throw error
      }
    }
  }

  /// Calls everybody home; who is held up in a request comes later.
  func end() {
    isEnding.store(true, ordering: .sequentiallyConsistent)
    Self.signal(homeEvent.raw)
    parking.update { $0.isEnding = true }
  }

  /// Waits for the workers to finish what they are at; false when some have not after `milliseconds`.
  func join(milliseconds: Int) -> Bool {
    parking.wait(milliseconds: milliseconds) { $0.running == 0 ? true : nil } ?? false
  }

  // MARK: One worker

  private func work() {
    var buffer = fuse_buf()
    var budget = SpinBudget(processors: processors)
    // Requests in a row that were there at once.
    var streak = 0
    listening.add(1, ordering: .sequentiallyConsistent)
    budget.beginIdle(at: System.bootClock)
    loop: while !isEnding.load(ordering: .relaxed) {
      let got = fuse_session_receive_buf(session.raw, &buffer)
      switch got {
      case 1...:
        let others = listening.subtract(1, ordering: .sequentiallyConsistent).newValue
        if others == 0, streak >= 2 || Self.isLargeRead(buffer) { callUp() }
        streak += 1
        counts.add(RequestKind.of(buffer))
        fuse_session_process_buf(session.raw, &buffer)
        served.add(1, ordering: .relaxed)
        listening.add(1, ordering: .sequentiallyConsistent)
        budget.beginIdle(at: System.bootClock)
      case -EAGAIN:
        streak = 0
        let isShared = listening.load(ordering: .relaxed) > 1
        if budget.mayGoOn(at: System.bootClock, isShared: isShared) {
          sched_yield()
        } else if !(stopListening() ? park() : sleep(&budget)) {
          break loop
        }
      case -EINTR:
        continue
      default:
        // 0: unmounted. Anything else does not get better by trying again.
        if got < 0 { DriverLog.write(.error, "reading requests failed: \(Errno(rawValue: -got))") }
        break loop
      }
    }
    listening.subtract(1, ordering: .sequentiallyConsistent)
    free(buffer.mem)
    Self.signal(exitEvent)
    end()
    parking.update { $0.running -= 1 }
  }

  /// struct fuse_in_header (40 bytes; opcode at 4), then struct fuse_read_in with its size at 16 (linux/fuse.h).
  private static func isLargeRead(_ buffer: fuse_buf) -> Bool {
    guard let memory = buffer.mem, buffer.size >= 60 else { return false }
    return RequestKind.of(buffer) == RequestKind.read
      && memory.load(fromByteOffset: 56, as: UInt32.self) >= largeRead
  }

  private static func signal(_ event: CInt) {
    var one: UInt64 = 1
    _ = Glibc.write(event, &one, 8)
  }

  /// Waits in poll(2) for a request. False when the mount ends.
  private func sleep(_ budget: inout SpinBudget) -> Bool {
    var descriptors = [
      pollfd(fd: device, events: Int16(POLLIN), revents: 0),
      pollfd(fd: homeEvent.raw, events: Int16(POLLIN), revents: 0),
    ]
    isPolling.store(true, ordering: .sequentiallyConsistent)
    let result = poll(&descriptors, 2, -1)
    isPolling.store(false, ordering: .sequentiallyConsistent)
    guard result >= 0 || errno == EINTR, descriptors[1].revents == 0 else { return false }
    budget.wokeUp(at: System.bootClock)
    if isStandbyAsleep.load(ordering: .sequentiallyConsistent) { parking.update { $0.isStandbyAsleep = false } }
    return true
  }

  // MARK: Parking

  /// Gives up listening unless nobody else would listen then.
  private func stopListening() -> Bool {
    parking.withLock { _ in
      guard listening.load(ordering: .sequentiallyConsistent) > 1 else { return false }
      listening.subtract(1, ordering: .sequentiallyConsistent)
      return true
    }
  }

  private func callUp() {
    guard parked.load(ordering: .relaxed) > Self.spareThreads else { return }
    parking.update { if $0.parked - $0.calls > Self.spareThreads { $0.calls += 1 } }
  }

  /// Waits until this worker is needed; it listens then. False when the mount ends.
  private func park() -> Bool {
    parking.withLock { $0.parked += 1 }
    parked.add(1, ordering: .relaxed)
    defer {
      parking.withLock { $0.parked -= 1 }
      parked.subtract(1, ordering: .relaxed)
    }
    enum Wake { case ending, called, becameStandby }
    let wake: Wake = parking.wait { state in
      if state.isEnding { return .ending }
      if Self.takeCall(&state) { return .called }
      if !state.hasStandby {
        state.hasStandby = true
        return .becameStandby
      }
      return nil
    }
    let isNeeded =
      switch wake {
      case .ending: false
      case .called: true
      case .becameStandby: standBy()
      }
    if isNeeded { listening.add(1, ordering: .sequentiallyConsistent) }
    return isNeeded
  }

  private static func takeCall(_ state: inout Parking) -> Bool {
    guard state.calls > 0 else { return false }
    state.calls -= 1
    return true
  }

  /// Returns when all listeners are held up, or this one is called; false when the mount ends.
  private func standBy() -> Bool {
    defer {
      // The next one of the parked takes the place.
      parking.update { $0.hasStandby = false }
    }
    var servedBefore = -1
    var quiet = 0
    while true {
      let isNeeded: Bool? = parking.wait(milliseconds: Self.standbyMilliseconds) { state in
        if state.isEnding { return false }
        return Self.takeCall(&state) ? true : nil
      }
      if let isNeeded { return isNeeded }
      let servedNow = served.load(ordering: .relaxed)
      let isActive = servedNow != servedBefore
      if !isActive && listening.load(ordering: .sequentiallyConsistent) == 0 { return true }
      quiet = isActive ? 0 : quiet + 1
      servedBefore = servedNow
      if quiet >= Self.standbyPatience {
        waitForActivity()
        quiet = 0
      }
    }
  }

  private func waitForActivity() {
    parking.withLock { $0.isStandbyAsleep = true }
    isStandbyAsleep.store(true, ordering: .sequentiallyConsistent)
    defer { isStandbyAsleep.store(false, ordering: .sequentiallyConsistent) }
    // Who polls says so before it sleeps and looks at our flag after it woke: one of the two sees the other.
    guard isPolling.load(ordering: .sequentiallyConsistent) else { return }
    parking.wait { $0.isStandbyAsleep && !$0.isEnding && $0.calls == 0 ? nil : () }
  }
}
