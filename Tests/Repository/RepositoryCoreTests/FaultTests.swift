// The store fails at the n-th call, for every n: nothing that was stored may suffer, and nobody may be told that all
// is well.
import ObjectStores
import ChunkCodec
import Platform
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

private let smallSettings: ChunkWriter.Settings = {
  var settings = ChunkWriter.Settings()
  settings.workers = 2
  settings.packSize = 3000
  settings.dataBlockSize = 1000
  settings.treeBlockSize = 500
  settings.indexIntervalChunks = 8
  // Here every failure shall show.
  settings.mergeInterval = .max
  settings.level = 1
  return settings
}()

/// 20 chunks of up to 1200 bytes, the same for the same seed.
private func chunks(_ repository: Repository, seed: UInt64) -> [TestChunk] {
  var random = SeededGenerator(seed: seed)
  return (0..<20).map { number in
    TestChunk(random.bytes(1 + Int(random.next() % 1200)), repository, number.isMultiple(of: 4) ? .tree : .data)
  }
}

/// Every pack is whole and every chunk that the index knows is readable. The number of those.
private func check(_ test: TestRepository, _ chunks: [TestChunk]) throws -> Int {
  let repository = try test.open()
  try repository.index.refresh()
  for id in try test.store.ids(.packs) {
    let bytes = try #require(try test.store.get(.pack(id), limit: Limits.packSizeMax))
    try #require(ObjectID(nameOf: SHA256.hash(bytes)) == id)
    _ = try PackFile(repository, id)
  }
  var known = 0
  for chunk in chunks where try repository.index.find(chunk.id) != nil {
    try #require(try chunk.isReadable(in: repository))
    known += 1
  }
  return known
}

@Suite struct FaultTests {
  @Test(arguments: FaultyStore.Mode.allCases)
  func everyFailureOfAWriteShows(mode: FaultyStore.Mode) throws {
    let clean = try TestRepository()
    let counter = FaultyStore(clean.store)
    try ChunkWriter.store(chunks(clean.open(), seed: 2), in: clean.open(counter), smallSettings)
    #expect(counter.calls > 25)

    // The order of calls differs a little from run to run, with the workers: a few more than were counted.
    for call in 1...(counter.calls + 3) {
      let memory = MemoryStore()
      let test = try TestRepository(in: memory)
      let first = chunks(try test.open(), seed: 1)
      let second = chunks(try test.open(), seed: 2)
      try ChunkWriter.store(first, in: test.open(), smallSettings)

      let faulty = FaultyStore(memory, failingAt: call, mode)
      let failed = errorMessage { try ChunkWriter.store(second, in: test.open(faulty), smallSettings) }
      try #require((failed == "no error") == !faulty.hasFailed, "call \(call): \(failed)")
      try #require(try check(test, first) == first.count, "call \(call)")
      _ = try check(test, second)
      try #require(memory.openUploads == 0, "call \(call) left an upload behind")

      try ChunkWriter.store(second, in: test.open(), smallSettings)
      try #require(try check(test, first + second) == first.count + second.count, "call \(call)")
    }
  }

  /// A caller that goes on after an error gets it again; it does not wait for ever for what will not come.
  @Test func anErrorStays() throws {
    let counter = FaultyStore(MemoryStore())
    let clean = try TestRepository(in: counter)
    let before = counter.calls
    try ChunkWriter.store(chunks(clean.open(), seed: 2), in: clean.open(), smallSettings)
    for call in 1...(counter.calls - before) {
      let test = try TestRepository()
      let all = chunks(try test.open(), seed: 2)
      let faulty = FaultyStore(test.store, failingAt: call, .once)
      guard let repository = try? test.open(faulty) else { continue }
      let writer = try ChunkWriter(repository, smallSettings)
      var errors = 0
      for chunk in all {
        do {
          try writer.add(chunk)
        } catch {
          errors += 1
        }
      }
      if errors > 0 { #expect(errorMessage { try writer.flush() }.contains("injected"), "call \(call)") }
      let isDone = (try? writer.flush()) != nil
      #expect(isDone == !faulty.hasFailed, "call \(call)")
      if !isDone { #expect(errorMessage { try writer.flush() }.contains("injected"), "call \(call)") }
      writer.close()
      _ = try check(test, all)
    }
  }

  /// What a failure brings about on other threads, such as a pack that is gone, is not what the user has to hear of.
  @Test func everyThreadHearsOfTheFirstFailure() throws {
    var failed = 0
    for round in 0..<300 {
      let memory = MemoryStore()
      let test = try TestRepository(in: memory)
      let repository = try test.open(FaultyStore(memory, failingAt: 6 + round % 30, .once))
      let all = chunks(repository, seed: 1) + chunks(repository, seed: 2)
      let errors = Monitor<[String]>([])
      var settings = smallSettings
      settings.workers = 4
      settings.packSize = 1 << 20
      let writer = try ChunkWriter(repository, settings)
      defer { writer.close() }
      for start in stride(from: 0, to: all.count, by: 5) {
        try? writer.submit { lane in
          let message = errorMessage {
            for chunk in all[start..<(start + 5)] {
              _ = try chunk.bytes.withUnsafeBytes { try lane.add(chunk.id, kind: chunk.kind, $0) }
            }
          }
          if message != "no error" { errors.update { $0.append(message) } }
        }
      }
      let message = errorMessage { try writer.flush() }
      let heard = errors.withLock { $0 } + (message == "no error" ? [] : [message])
      failed += heard.count
      #expect(heard.allSatisfy { $0.contains("injected") }, "round \(round): \(heard)")
    }
    #expect(failed > 300)
  }

  @Test func aWriterThatIsClosedTakesNothing() throws {
    let test = try TestRepository()
    let repository = try test.open()
    let writer = try ChunkWriter(repository, smallSettings)
    let all = chunks(repository, seed: 3)
    for chunk in all.prefix(5) { try writer.add(chunk) }
    writer.close()
    #expect(throws: (any Error).self) {
      for chunk in all { try writer.add(chunk) }
      try writer.flush()
    }
    // What was not flushed is given up, not half there.
    #expect(try check(test, all) == 0)
    #expect((test.store as? MemoryStore)?.openUploads == 0)
  }

  @Test(arguments: FaultyStore.Mode.allCases)
  func openingEitherWorksOrFails(mode: FaultyStore.Mode) throws {
    let test = try TestRepository()
    let all = chunks(try test.open(), seed: 4)
    try ChunkWriter.store(all, in: test.open(), smallSettings)
    for call in 1... {
      let faulty = FaultyStore(test.store, failingAt: call, mode)
      let failed = errorMessage {
        let repository = try test.open(faulty)
        try repository.index.refresh()
        _ = try SnapshotCatalog(repository)
      }
      #expect((failed == "no error") == !faulty.hasFailed, "call \(call): \(failed)")
      if !faulty.hasFailed { break }
    }
    #expect(try check(test, all) == all.count)
  }
}
