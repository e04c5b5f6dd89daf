import Platform
import TestSupport
import Testing

@Suite struct MonitorTests {
  @Test func changesAreNotLost() throws {
    let counter = Monitor(0)
    try onThreads(8) { _ in for _ in 0..<2000 { counter.withLock { $0 += 1 } } }
    #expect(counter.withLock { $0 } == 16_000)
  }

  @Test func threadsTakeTurnsByWaiting() throws {
    let turn = Monitor((next: 0, order: [Int]()))
    try onThreads(6) { number in
      for round in 0..<100 {
        turn.wait { $0.next == round * 6 + number ? () : nil }
        turn.update {
          $0.order.append(number)
          $0.next += 1
        }
      }
    }
    #expect(turn.withLock { $0.order } == (0..<600).map { $0 % 6 })
  }

  @Test func waitingHasAnEnd() {
    let monitor = Monitor(5)
    let never: Int? = monitor.wait(milliseconds: 5) { _ in nil }
    #expect(never == nil)
    #expect(monitor.wait(milliseconds: 1500) { $0 } == 5)
    #expect(monitor.wait(milliseconds: 0) { $0 } == 5)
  }

  @Test func errorsComeThroughAndFreeTheLock() {
    let monitor = Monitor(1)
    #expect(throws: FormatError.self) { try monitor.withLock { (_) throws(FormatError) in throw FormatError("x") } }
    #expect(monitor.withLock { $0 } == 1)
  }
}

@Suite struct BoundedQueueTests {
  @Test func everyElementArrivesOnceAndTheLimitHolds() throws {
    struct Counts {
      var put = 0
      var takesBegun = 0
      var worst = 0
      var taken: [Int] = []
    }
    let queue = BoundedQueue<Int>(limit: 3)
    let counts = Monitor(Counts())
    let consumers = try (0..<4).map { number in
      try Worker("consumer-\(number)") {
        while true {
          counts.withLock { $0.takesBegun += 1 }
          guard let element = queue.take() else { return }
          counts.withLock { $0.taken.append(element) }
        }
      }
    }
    try onThreads(4) { number in
      for element in 0..<500 {
        queue.put(number * 500 + element)
        // What was put for sure, less what may have been taken, is a lower bound of what is inside.
        counts.withLock {
          $0.put += 1
          $0.worst = max($0.worst, $0.put - $0.takesBegun)
        }
      }
    }
    queue.close()
    for consumer in consumers { consumer.join() }
    #expect(counts.withLock { $0.taken.sorted() } == Array(0..<2000))
    #expect(counts.withLock { $0.worst } <= 3)
  }

  @Test func oneProducerAndOneConsumerKeepTheOrder() throws {
    let queue = BoundedQueue<Int>(limit: 2)
    let producer = try Worker("producer") {
      for element in 0..<1000 { queue.put(element) }
      queue.close()
    }
    var taken: [Int] = []
    while let element = queue.take() { taken.append(element) }
    producer.join()
    #expect(taken == Array(0..<1000))
  }

  @Test func closingRefusesNewElementsAndGivesTheOldOnes() throws {
    let queue = BoundedQueue<Int>(limit: 2)
    #expect(queue.put(1))
    #expect(queue.put(2))
    let refused = Monitor(0)
    // The queue is full: whether these wait already or not, closing must let them go empty-handed.
    let waiting = try (0..<3).map { number in
      try Worker("waiting-\(number)") { if !queue.put(9) { refused.withLock { $0 += 1 } } }
    }
    queue.close()
    for worker in waiting { worker.join() }
    #expect(refused.withLock { $0 } == 3)
    #expect(!queue.put(3))
    #expect([queue.take(), queue.take(), queue.take(), queue.take()] == [1, 2, nil, nil])
  }

  @Test func closingWakesWhoeverWaitsForElements() throws {
    let queue = BoundedQueue<Int>(limit: 2)
    let empty = Monitor(0)
    let waiting = try (0..<3).map { number in
      try Worker("waiting-\(number)") { if queue.take() == nil { empty.withLock { $0 += 1 } } }
    }
    queue.close()
    for worker in waiting { worker.join() }
    #expect(empty.withLock { $0 } == 3)
  }
}

@Suite struct WorkerTests {
  private final class Held: Sendable {}

  /// Whoever has waited for a thread may end the process, and what is freed while that goes on may need what is gone.
  @Test func aThreadHasLetGoOfWhatItHeldWhenItIsWaitedFor() throws {
    for round in 0..<2000 {
      var held: Held? = Held()
      weak let watched = held
      let worker = try Worker("holder") { [held] in withExtendedLifetime(held) {} }
      held = nil
      worker.join()
      try #require(watched == nil, "round \(round)")
    }
  }

  @Test func joiningWaitsForTheEnd() throws {
    let done = Monitor(false)
    let worker = try Worker("a name that is longer than the kernel takes") { done.update { $0 = true } }
    worker.join()
    #expect(done.withLock { $0 })
    worker.join()
  }

  @Test func aFlagStaysRaised() throws {
    let flag = CancellationFlag()
    #expect(!flag.isRaised)
    let worker = try Worker("raiser") { flag.raise() }
    worker.join()
    #expect(flag.isRaised)
  }

  /// A stack that no address space has room for: the system's own refusal, as at a limit of processes or of memory.
  private static let noStack = 1 << 50

  @Test func aThreadThatCannotBeHadIsAnErrorAndItsBodyNeverRuns() {
    let hasRun = Monitor(false)
    #expect(throws: Errno.wouldBlock) {
      _ = try Worker("no-room", stackSize: Self.noStack) { hasRun.update { $0 = true } }
    }
    #expect(Worker(ifThereIsRoom: "no-room", stackSize: Self.noStack) { hasRun.update { $0 = true } } == nil)
    #expect(!hasRun.withLock { $0 })
  }
}
