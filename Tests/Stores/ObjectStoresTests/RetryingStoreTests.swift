@testable import ObjectStores
import Platform
import Reporting
import RepositoryFormat
import TestSupport
import Testing

private func id(_ byte: UInt8) -> ObjectID { [UInt8](repeating: byte, count: 32).withUnsafeBytes { ObjectID($0) } }

/// A store in memory, behind a line on which calls go wrong by script, and behind that one that tries again.
private struct Line {
  let memory = MemoryStore()
  let scripted: ScriptedStore
  let clock = TestClock()
  let store: RetryingStore

  init(
    _ events: [ScriptedStore.Event], policy: RetryPolicy = RetryPolicy(),
    until end: CancellationFlag = CancellationFlag()
  ) {
    scripted = ScriptedStore(memory, events)
    store = RetryingStore(scripted, policy: policy, until: end, clock: clock.clock, jitter: { 1 })
  }
}

@Suite struct RetryingStoreTests {
  // MARK: How often, and when

  @Test func readingIsTriedAgainUntilItWorks() throws {
    let line = Line([.isLost, .answerIsLost])
    line.memory["config"] = [1, 2, 3]
    #expect(try line.store.get(.config, limit: 10) == [1, 2, 3])
    #expect(line.scripted.calls == ["get", "get", "get"])
    for event in [ScriptedStore.Event.isLost, .answerIsLost] {
      let line = Line([event])
      line.memory["config"] = [1, 2, 3]
      #expect(try line.store.size(.config) == 3)
    }
  }

  @Test func aFailureThatLastsIsToldAtOnce() throws {
    let lasting = YesterError(.failed, "no", cause: .inputOutput)
    let line = Line([.fails(lasting)])
    #expect(errorMessage { _ = try line.store.size(.config) } == "no.")
    #expect(line.scripted.calls.count == 1 && line.clock.waits.isEmpty)
  }

  @Test func theNumberOfTriesIsBoundedAndTold() throws {
    let line = Line([ScriptedStore.Event](repeating: .isLost, count: 100))
    #expect(errorMessage { _ = try line.store.size(.config) } == "the connection was dropped (tried 8 times).")
    #expect(line.scripted.calls.count == 8)
  }

  @Test func waitsGrowUpToABoundAndDifferByChance() {
    let policy = RetryPolicy()
    let seconds = (1...9).map { Double(policy.wait(after: $0, jitter: 1)) / 1e9 }
    #expect(seconds == [0.5, 1, 2, 4, 8, 16, 30, 30, 30])
    #expect((1...9).allSatisfy { policy.wait(after: $0, jitter: 0) * 2 == policy.wait(after: $0, jitter: 1) })
    #expect(policy.wait(after: 1_000_000, jitter: 1) == policy.waitMax)
  }

  @Test func theWaitIsThatOfThePolicy() throws {
    let line = Line([.isLost, .isLost])
    _ = try line.store.size(.config)
    #expect(line.clock.waits.reduce(0, +) == 1_500_000_000)
  }

  /// `Retry-After` of a server that is busy.
  @Test func whatTheStoreAsksForIsWaitedFor() throws {
    let busy = YesterError(.failed, "busy", retryDelay: 7_000_000_000)
    let line = Line([.fails(busy)])
    _ = try line.store.size(.config)
    #expect(line.clock.waits.reduce(0, +) == 7_000_000_000)
  }

  @Test func aStoreThatAsksForTooLongAWaitIsNotWaitedFor() throws {
    let line = Line([.fails(YesterError(.failed, "closed", retryDelay: 3_600_000_000_000))])
    #expect(errorMessage { _ = try line.store.size(.config) } == "closed.")
    #expect(line.clock.waits.isEmpty)
  }

  @Test func aRunThatWasToldToStopTriesNothingAgain() throws {
    let end = CancellationFlag()
    end.raise()
    let line = Line([.isLost], until: end)
    #expect(errorCode { _ = try line.store.size(.config) } == .failed)
    #expect(line.scripted.calls.count == 1 && line.clock.waits.isEmpty)
  }

  @Test func aWaitEndsSoonWhenTheRunIsToldToStop() throws {
    let end = CancellationFlag()
    let clock = TestClock { _ in end.raise() }
    let scripted = ScriptedStore(MemoryStore(), [ScriptedStore.Event](repeating: .isLost, count: 100))
    let store = RetryingStore(scripted, until: end, clock: clock.clock, jitter: { 1 })
    #expect(errorCode { _ = try store.size(.config) } == .failed)
    #expect(clock.waits.count == 1 && clock.waits[0] <= 50_000_000)
  }

  @Test func eachWaitIsToldBeforeIt() throws {
    let told = Monitor<[Int64]>([])
    let clock = TestClock()
    let store = RetryingStore(
      ScriptedStore(MemoryStore(), [.isLost, .isLost]), clock: clock.clock, jitter: { 1 },
      report: { error, wait in
        #expect(error.message == "the connection was dropped")
        told.withLock { $0.append(wait) }
      })
    _ = try store.size(.config)
    #expect(told.withLock { $0 } == [500_000_000, 1_000_000_000])
  }

  // MARK: What may be repeated, and how

  /// The first try did its work: its object is not taken for another's.
  @Test func anObjectWhoseAnswerWasLostIsOurs() throws {
    for put in Self.ways {
      let line = Line([.answerIsLost])
      #expect(try put(line.store, .pack(id(1)), [1, 2, 3]))
      #expect(line.memory[ObjectKey.pack(id(1)).path] == [1, 2, 3])
    }
  }

  @Test func anObjectThatNeverArrivedIsStoredByTheNextTry() throws {
    for put in Self.ways {
      let line = Line([.isLost])
      #expect(try put(line.store, .pack(id(1)), [1, 2, 3]))
      #expect(line.memory[ObjectKey.pack(id(1)).path] == [1, 2, 3])
    }
  }

  /// Somebody else got the name while the line was down.
  @Test func anotherObjectUnderTheNameIsTaken() throws {
    for other in [[9, 9, 9], [], [1, 2], [1, 2, 3, 4]] as [[UInt8]] {
      for put in Self.ways {
        let line = Line([.isLost])
        line.memory[ObjectKey.lease("a").path] = other
        #expect(try !put(line.store, .lease("a"), [1, 2, 3]))
        #expect(line.memory[ObjectKey.lease("a").path] == other)
      }
    }
  }

  /// Equal bytes prove nothing where no try of ours has failed.
  @Test func anEqualObjectThatWasThereBeforeIsTaken() throws {
    for put in Self.ways {
      let line = Line([])
      line.memory["config"] = [1, 2, 3]
      #expect(try !put(line.store, .config, [1, 2, 3]))
      #expect(line.scripted.calls == ["put"])
    }
  }

  /// The line drops again, at each step of looking what became of the first try.
  @Test func theComparisonIsTriedAgainAsWell() throws {
    for put in Self.ways {
      for lost in 0..<3 {
        var events: [ScriptedStore.Event] = [.answerIsLost]
        events += [ScriptedStore.Event](repeating: .works, count: lost) + [.isLost]
        let line = Line(events)
        #expect(try put(line.store, .pack(id(1)), [1, 2, 3]), "step \(lost)")
      }
    }
  }

  @Test func aLargeObjectIsComparedToItsLastByte() throws {
    let content = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 13 &+ $0 >> 9) }
    for offset in [nil, 0, 1 << 20, content.count - 1] {
      let line = Line([.isLost])
      var there = content
      if let offset { there[offset] ^= 1 }
      line.memory["config"] = there
      #expect(try line.store.put(.config, content: BytesContent(content)) == (offset == nil))
    }
  }

  /// What was there when the name was taken is gone when it is looked at: the name is free.
  @Test func anObjectThatGoesMeanwhileIsStoredAgain() throws {
    let memory = MemoryStore()
    let vanishing = ScriptedStore(memory) { call, name in
      if name == "size" { memory["config"] = nil }
      return call == 1 ? .answerIsLost : .works
    }
    let store = RetryingStore(vanishing, clock: TestClock().clock)
    #expect(try store.put(.config, [1]))
    #expect(vanishing.calls == ["put", "put", "size", "put"])
    #expect(memory["config"] == [1])
  }

  @Test func noNameOfAListComesTwice() throws {
    for event in [ScriptedStore.Event.isLost, .answerIsLost] {
      let line = Line([event, event])
      for byte: UInt8 in 1...5 { line.memory[ObjectKey.index(id(byte)).path] = [UInt8](repeating: 0, count: Int(byte)) }
      var names: [String] = []
      try line.store.list(.index) { name, size in
        names.append(name)
        #expect(id(UInt8(size)).hex == name)
      }
      #expect(names.sorted() == (1...5).map { id($0).hex })
      #expect(line.scripted.calls == ["list", "list", "list"])
    }
  }

  @Test func deletingWhatIsGoneAlreadyIsNoError() throws {
    for event in [ScriptedStore.Event.isLost, .answerIsLost] {
      let line = Line([event])
      line.memory["config"] = [1]
      try line.store.delete(.config)
      #expect(line.memory["config"] == nil)
    }
  }

  /// Of what was sent there is no second copy. Through a spool there is.
  @Test func anUploadThatHasBegunIsNotRepeated() throws {
    let line = Line([.isLost])
    let upload = try line.store.beginUpload()
    #expect(try upload.commit(as: .config))
    #expect(line.scripted.calls == ["upload", "upload"])
  }

  private static let ways: [@Sendable (any ObjectStore, ObjectKey, [UInt8]) throws -> Bool] = [
    { try $0.put($1, $2) },
    { try $0.putBriefly($1, $2) },
    { try $0.put($1, content: BytesContent($2)) },
  ]
}
