// The builder takes steps in their order, whoever answers first.
import ChunkCodec
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import SnapshotTree
@testable import SnapshotWriting
import TestSupport
import Testing

@Suite struct TreeBuilderTests {
  /// Keeps listings, by their ids.
  private final class Listings: ChunkSink {
    var objects: [ObjectID: [UInt8]] = [:]
    func add(_ id: ObjectID, kind: ChunkKind, _ bytes: UnsafeRawBufferPointer) { objects[id] = Array(bytes) }
    func move(to position: UInt64) {}
    func setOwner(_ user: UInt32) {}
  }

  private final class Fixture {
    let listings = Listings()
    let links = LinkTable(nextGroup: 1)
    let progress = RunProgress()
    var problems: [PathProblem] = []
    var told: [String] = []
    var strictError: YesterError?
    private(set) var builder: TreeBuilder!

    init() throws {
      let keySet = try TestRepository().open().keyring.current
      let listing = EntryListing(isComplete: true) { [unowned self] in
        told.append(String(decoding: $0.path, as: UTF8.self))
      }
      builder = TreeBuilder(
        TreeWriter(ChunkNamer(keySet), listings), links, progress: progress, listing: listing
      ) { [unowned self] problem in
        problems.append(problem)
        if let strictError { throw strictError }
      }
      try builder.take(.enter(entry("", .directory(below: 0, listing: .zero)), base: nil))
    }

    func take(_ pending: PendingBatch, _ index: Int, _ name: String) throws {
      try builder.take(.file(pending, index: index, name: Array(name.utf8), path: Array(name.utf8), base: nil))
    }

    func finish() throws -> Entry {
      try builder.take(.leave(isIncomplete: false))
      return try builder.finish()
    }

    /// What a directory has, from the listings that came.
    func names(_ directory: Entry) throws -> [String] {
      try entries(directory).map { String(decoding: $0.name, as: UTF8.self) }
    }

    func entries(_ directory: Entry) throws -> [Entry] {
      guard case .directory(_, let id) = directory.body, let bytes = listings.objects[id] else { return [] }
      return try leaf(bytes)
    }

    private func leaf(_ bytes: [UInt8]) throws -> [Entry] {
      let leaf = try Leaf(BytesSlice(Bytes(bytes), offset: 0, count: bytes.count))
      return try (0..<leaf.count).map { try leaf.entry($0) }
    }
  }

  private func pending(_ batch: FileBatch?) -> PendingBatch {
    let pending = PendingBatch { Issue.record("nobody is to wait for it") }
    if let batch { pending.submitted(as: batch) }
    return pending
  }

  private func result(_ name: String, size: UInt64 = 1) -> FileResult {
    var result = FileResult()
    result.outcome = .entry(entry(name, .file(size: size, content: .single(.zero))))
    return result
  }

  @Test func answersComeInTheOrderOfTheSteps() throws {
    let fixture = try Fixture()
    let batches = [FileBatch(), FileBatch()]
    try fixture.take(pending(batches[0]), 0, "a")
    try fixture.take(pending(batches[0]), 1, "b")
    try fixture.builder.take(.entry(entry("c", .fifo), base: nil))
    try fixture.take(pending(batches[1]), 0, "d")
    try fixture.builder.take(.entry(entry("e", .fifo), base: nil))
    #expect(fixture.told == [])
    batches[1].run(count: 1) { _ in result("d") }
    try fixture.builder.take(.entry(entry("f", .fifo), base: nil))
    #expect(fixture.told == [])
    batches[0].run(count: 2) { result(["a", "b"][$0]) }
    let root = try fixture.finish()
    #expect(fixture.told == ["a", "b", "c", "d", "e", "f", ""])
    #expect(try fixture.names(root) == ["a", "b", "c", "d", "e", "f"])
    #expect(fixture.builder.counts.files == 3)
    #expect(fixture.builder.counts.others == 3)
    #expect(fixture.builder.hasEntries && fixture.builder.hasContent)
  }

  @Test func theEndWaitsForWorkers() throws {
    let fixture = try Fixture()
    let batch = FileBatch()
    for number in 0..<3 { try fixture.take(pending(batch), number, "\(number)") }
    let worker = try Worker("test-answer") {
      System.sleep(nanoseconds: 50_000_000)
      batch.run(count: 3) { result("\($0)") }
    }
    #expect(try fixture.names(fixture.finish()) == ["0", "1", "2"])
    worker.join()
  }

  @Test func aBatchThatNobodyHasIsHandedOverWhenItIsWaitedFor() throws {
    let fixture = try Fixture()
    let batch = FileBatch()
    var handed: PendingBatch?
    let calls = Monitor(0)
    let pending = PendingBatch {
      calls.withLock { $0 += 1 }
      batch.run(count: 2) { result("\($0)") }
      handed?.submitted(as: batch)
    }
    handed = pending
    defer { handed = nil }
    try fixture.take(pending, 0, "0")
    try fixture.take(pending, 1, "1")
    #expect(calls.withLock { $0 } == 0)
    #expect(try fixture.names(fixture.finish()) == ["0", "1"])
    #expect(calls.withLock { $0 } == 1)
  }

  @Test func onlySoManyStepsWait() throws {
    let fixture = try Fixture()
    let batch = FileBatch()
    let isRead = Monitor(false)
    try fixture.take(pending(batch), 0, "0")
    for number in 1..<4096 { try fixture.builder.take(.entry(entry("\(10_000 + number)", .fifo), base: nil)) }
    #expect(fixture.told == [])
    let worker = try Worker("test-answer") {
      System.sleep(nanoseconds: 50_000_000)
      isRead.withLock { $0 = true }
      batch.run(count: 1) { _ in result("0") }
    }
    try fixture.builder.take(.entry(entry("20000", .fifo), base: nil))
    #expect(isRead.withLock { $0 })
    #expect(fixture.told.count == 4097)
    worker.join()
  }

  /// Paths of some thousand bytes would take more memory than the steps.
  @Test func onlySoManyBytesOfPathsWait() throws {
    let fixture = try Fixture()
    let batch = FileBatch()
    let long = [UInt8](repeating: 0x61, count: 1 << 20)
    for number in 0..<8 {
      try fixture.builder.take(.file(pending(batch), index: number, name: [UInt8(number)], path: long, base: nil))
    }
    let worker = try Worker("test-answer") {
      System.sleep(nanoseconds: 50_000_000)
      batch.run(count: 9) { result("\($0)") }
    }
    #expect(fixture.told == [])
    try fixture.builder.take(.file(pending(batch), index: 8, name: [8], path: long, base: nil))
    #expect(fixture.told.count == 9)
    worker.join()
  }

  @Test func aFileThatCannotBeReadMakesItsDirectoryIncomplete() throws {
    let fixture = try Fixture()
    let batch = FileBatch()
    try fixture.builder.take(.enter(entry("d", .directory(below: 0, listing: .zero)), base: nil))
    try fixture.take(pending(batch), 0, "a")
    try fixture.take(pending(batch), 1, "b")
    try fixture.builder.take(.leave(isIncomplete: false))
    batch.run(count: 2) { number in
      guard number == 0 else { return result("b") }
      var failed = FileResult()
      failed.problems = [PathProblem(.unreadable, Array("d/a".utf8), "reading it failed")]
      return failed
    }
    let root = try fixture.finish()
    #expect(fixture.problems.map(\.message) == ["reading it failed"])
    #expect(fixture.told == ["d/b", "d", ""])
    #expect(fixture.builder.counts.unreadable == 1)
    #expect(!root.isIncomplete)
    let directory = try #require(try fixture.entries(root).first)
    #expect(directory.isIncomplete)
    #expect(try fixture.names(directory) == ["b"])
  }

  /// It was there, and something else is: what the snapshot lacks must not be taken for absent.
  @Test func aFileThatWasReplacedMakesItsDirectoryIncomplete() throws {
    let fixture = try Fixture()
    var replaced = FileResult()
    replaced.problems = [PathProblem(.changed, [0x61], "it was replaced by something that is no file")]
    try fixture.builder.take(.result(replaced, name: [0x61], path: [0x61], base: nil))
    let root = try fixture.finish()
    #expect(root.isIncomplete)
    #expect(fixture.builder.counts.unreadable == 0)
    #expect(fixture.problems.count == 1)
  }

  @Test func aFileThatChangedMeanwhileIsStoredAndReported() throws {
    let fixture = try Fixture()
    var changed = result("a")
    changed.problems = [PathProblem(.changed, [0x61], "it changed while it was read")]
    try fixture.builder.take(.result(changed, name: [0x61], path: [0x61], base: nil))
    let root = try fixture.finish()
    #expect(try fixture.names(root) == ["a"])
    #expect(!root.isIncomplete)
    #expect(fixture.problems.map(\.kind) == [.changed])
  }

  @Test func aFileThatIsGoneLeavesNoTrace() throws {
    let fixture = try Fixture()
    var gone = FileResult()
    gone.problems = [PathProblem(.vanished, [0x61], "it is gone")]
    try fixture.builder.take(.result(gone, name: [0x61], path: [0x61], base: nil))
    #expect(try !fixture.finish().isIncomplete)
    #expect(fixture.builder.counts.unreadable == 0)
  }

  @Test func whatEndsAWorkerEndsTheBuilder() throws {
    let fixture = try Fixture()
    let batch = FileBatch()
    for number in 0..<3 { try fixture.take(pending(batch), number, "\(number)") }
    batch.run(count: 3) { number in
      if number == 1 { throw Stopped() }
      return result("\(number)")
    }
    #expect(throws: Stopped.self) { _ = try fixture.finish() }
    // What was read before is there.
    #expect(fixture.told == ["0"])
  }

  @Test func whatIsThrownAtAProblemEndsTheBuilder() throws {
    let fixture = try Fixture()
    fixture.strictError = cutOff
    #expect(throws: YesterError.self) {
      try fixture.builder.take(.problem(PathProblem(.unreadable, [0x61], "it is a secret")))
    }
  }

  @Test func namesOfOneFileHaveOneGroupInTheOrderOfTheWalk() throws {
    let fixture = try Fixture()
    let batch = FileBatch()
    let linked = (0..<2).map { number in
      LinkedFile(
        FileIdentity(device: 1, inode: UInt64(number)), born: nil, size: 1, modified: Timestamp(seconds: 1))
    }
    // The second file is read first.
    var results: [FileResult] = []
    for number in [0, 1, 0, 1] {
      let (reference, isMine) = fixture.links.claim(linked[number])
      if isMine {
        var stored = entry("x", .file(size: 1, content: .single(.zero)))
        stored.linkCount = 2
        fixture.links.finish(reference, stored)
      }
      var result = FileResult()
      result.outcome = .linked(reference)
      results.append(result)
    }
    for number in 0..<4 { try fixture.take(pending(batch), number, "\(number)") }
    batch.run(count: 4) { results[$0] }
    let root = try fixture.finish()
    #expect(try fixture.entries(root).map(\.linkGroup) == [1, 2, 1, 2])
  }

  @Test func aNameOfAFileThatCouldNotBeReadIsReported() throws {
    let fixture = try Fixture()
    let linked = LinkedFile(
      FileIdentity(device: 1, inode: 1), born: nil, size: 1, modified: Timestamp(seconds: 1))
    let (mine, _) = fixture.links.claim(linked)
    let (other, _) = fixture.links.claim(linked)
    fixture.links.finish(mine, nil)
    var failed = FileResult()
    failed.outcome = .linked(mine)
    failed.problems = [PathProblem(.unreadable, [0x61], "reading it failed")]
    try fixture.builder.take(.result(failed, name: [0x61], path: [0x61], base: nil))
    var second = FileResult()
    second.outcome = .linked(other)
    try fixture.builder.take(.result(second, name: [0x62], path: [0x62], base: nil))
    #expect(try fixture.finish().isIncomplete)
    #expect(fixture.problems.count == 2)
    #expect(fixture.problems.last?.message.contains("another of its names") == true)
  }
}
