internal import CLinux
internal import Glibc
internal import Synchronization

/// A value under a lock, with a condition to wait for. `Mutex` has no condition variable to go with it.
///
/// `@unchecked Sendable`, whatever the value is, as `Mutex` is: it is only touched while the pthread mutex is held, and
/// `sending` keeps what may not be shared from being known outside. Nobody else has what is put in, nor what stays in
/// when a closure ends.
package final class Monitor<Value>: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private var value: Value

  package init(_ value: sending Value) {
    self.value = value
    mutex = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    // Of a clock that nobody sets.
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  package func withLock<Result, Failure: Error>(
    _ body: (inout sending Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&value)
  }

  /// Waits until `attempt` gives something. It is tried with the lock held, at once and after each `notifyAll`.
  package func wait<Result>(_ attempt: (inout sending Value) -> sending Result?) -> sending Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if let result = attempt(&value) { return result }
      pthread_cond_wait(condition, mutex)
    }
  }

  /// Like `wait`, for at most `milliseconds`; nil when they are over.
  package func wait<Result>(
    milliseconds: Int, _ attempt: (inout sending Value) -> sending Result?
  ) -> sending Result? {
    var deadline = timespec()
    clock_gettime(CLOCK_MONOTONIC, &deadline)
    let nanoseconds = deadline.tv_nsec + (milliseconds % 1000) * 1_000_000
    deadline.tv_sec += milliseconds / 1000 + nanoseconds / 1_000_000_000
    deadline.tv_nsec = nanoseconds % 1_000_000_000
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if let result = attempt(&value) { return result }
      if pthread_cond_timedwait(condition, mutex, &deadline) != 0 { return attempt(&value) }
    }
  }

  package func notifyAll() { pthread_cond_broadcast(condition) }

  /// Changes the value and wakes everybody who waits.
  package func update<Result>(_ body: (inout sending Value) -> sending Result) -> sending Result {
    defer { notifyAll() }
    return withLock(body)
  }
}

/// A queue with a limit, between threads: `put` waits while it is full, `take` while it is empty.
package final class BoundedQueue<Element: Sendable>: Sendable {
  private struct State {
    var items: [Element] = []
    var isClosed = false
  }
  private enum Next {
    case element(Element)
    case end
  }
  private let limit: Int
  private let monitor = Monitor(State())

  package init(limit: Int) { self.limit = limit }

  /// False when the queue was closed and the element was not taken on.
  @discardableResult
  package func put(_ element: Element) -> Bool {
    let accepted = monitor.wait { state in
      if state.isClosed { return false }
      guard state.items.count < limit else { return nil as Bool? }
      state.items.append(element)
      return true
    }
    monitor.notifyAll()
    return accepted
  }

  /// Nil when the queue is closed and empty.
  package func take() -> Element? {
    let next: Next = monitor.wait { state in
      if !state.items.isEmpty { return .element(state.items.removeFirst()) }
      return state.isClosed ? .end : nil
    }
    monitor.notifyAll()
    switch next {
    case .element(let element): return element
    case .end: return nil
    }
  }

  /// No more elements come; those inside can still be taken.
  package func close() { monitor.update { $0.isClosed = true } }
}

/// A thread that can be waited for.
package final class Worker: Sendable {
  /// Bytes.
  package static let stackSize = 2 << 20
  private static let retries = 20
  private static let retryNanoseconds: Int64 = 100_000_000
  private let isDone = Monitor(false)

  /// Starts a thread with `stackSize` bytes of stack. Where the system has no room for one, which may pass, it is asked
  /// again for two seconds. Throws what the system says then, EAGAIN mostly: a limit of processes or of memory is
  /// reached. `body` has not begun, and never will.
  package init(
    _ name: String, stackSize: Int = Worker.stackSize, _ body: @escaping @Sendable () -> Void
  ) throws(Errno) {
    var error = Self.start(name, stackSize, isDone, body)
    for _ in 0..<Self.retries where error != nil {
      System.sleep(nanoseconds: Self.retryNanoseconds)
      error = Self.start(name, stackSize, isDone, body)
    }
    if let error { throw error }
  }

  /// Nil where the system has no room for another thread; it is asked once.
  package init?(
    ifThereIsRoom name: String, stackSize: Int = Worker.stackSize, _ body: @escaping @Sendable () -> Void
  ) {
    if Self.start(name, stackSize, isDone, body) != nil { return nil }
  }

  /// Why the thread could not be started; nil when it runs.
  private static func start(
    _ name: String, _ stackSize: Int, _ isDone: Monitor<Bool>, _ body: @escaping @Sendable () -> Void
  ) -> Errno? {
    let start = Unmanaged.passRetained(Start(name: name, done: isDone, body: body))
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, stackSize)
    pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
    var thread = pthread_t()
    let result = pthread_create(
      &thread, &attributes,
      { raw in
        guard let raw else { return nil }
        let start = Unmanaged<Start>.fromOpaque(raw).takeRetainedValue()
        yl_name_thread(String(start.name.prefix(15)))
        start.run()
        start.done.update { $0 = true }
        return nil
      }, start.toOpaque())
    pthread_attr_destroy(&attributes)
    guard result != 0 else { return nil }
    start.release()
    return Errno(rawValue: result)
  }

  package func join() { _ = isDone.wait { $0 ? true : nil } }

  private final class Start: Sendable {
    let name: String
    let done: Monitor<Bool>
    private let body: Mutex<(@Sendable () -> Void)?>
    init(name: String, done: Monitor<Bool>, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.done = done
      self.body = Mutex(body)
    }

    /// What the body holds is let go before anybody hears that the thread is done: whoever waits may end the process, and
    /// what frees a key while OpenSSL clears itself away crashes.
    func run() {
      let body = body.withLock { $0.take() }
      body?()
    }
  }
}

/// A flag that any thread, and a signal handler, may raise.
/// It can be part of a run that is on a signal handler's side: raising it only stores to an atomic.
package final class CancellationFlag: Sendable {
  private let raised = Atomic(false)
  package init() {}
  package var isRaised: Bool { raised.load(ordering: .relaxed) }
  package func raise() { raised.store(true, ordering: .relaxed) }
}
