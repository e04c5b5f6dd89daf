import ChunkCodec
import Glibc
import ObjectStores
import Platform
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

private struct OpeningFailed: Error {}

/// Keys of blocks whose sizes and bytes follow from their numbers.
private struct Blocks {
  let pack = ObjectID(System.random(32)) ?? .zero

  func key(_ number: Int) -> BlockCache.Key { BlockCache.Key(pack: pack, number: UInt32(number)) }
  func size(_ number: Int) -> Int { 1 + number * 7919 % 20_000 }
  func bytes(_ number: Int) -> Bytes {
    Bytes([UInt8](repeating: UInt8(truncatingIfNeeded: number * 31), count: size(number)))
  }
  func isRight(_ block: BlockCache.Block, _ number: Int) -> Bool {
    block.bytes.count == size(number)
      && block.bytes.withFilled { $0.allSatisfy { $0 == UInt8(truncatingIfNeeded: number * 31) } }
  }
}

/// Counts on several threads.
private final class Counter: Sendable {
  private let count = Monitor(0)
  var value: Int { count.withLock { $0 } }
  @discardableResult
  func add() -> Int {
    count.withLock {
      $0 += 1
      return $0
    }
  }
}

extension BlockCache {
  /// Whether the block is there.
  fileprivate func has(_ key: Key) -> Bool { (try? block(key, size: 0) { _ in throw OpeningFailed() }) != nil }
}

@Suite struct BlockCacheTests {
  private let blocks = Blocks()
  private static let size = 10_000

  /// Ten blocks that fill a cache of this limit up to a little.
  private func fullCache(_ keys: Range<Int> = 0..<10) throws -> BlockCache {
    let cache = BlockCache(limit: 10 * Self.size + 500)
    try fill(cache, keys)
    return cache
  }

  private func fill(_ cache: BlockCache, _ keys: Range<Int>) throws {
    for number in keys {
      _ = cache.block(blocks.key(number), size: Self.size) { _ in Bytes([UInt8](repeating: 0, count: Self.size)) }
    }
  }

  private func present(_ cache: BlockCache, _ keys: Range<Int>) -> [Int] { keys.filter { cache.has(blocks.key($0)) } }

  @Test func roomIsGivenBackWhenOpeningFails() throws {
    let cache = try fullCache()
    // Each fits beside what is there: only room that is kept for good would push a block out.
    for number in 100..<150 {
      #expect(throws: OpeningFailed.self) {
        _ = try cache.block(blocks.key(number), size: 400) { _ in throw OpeningFailed() }
      }
    }
    #expect(present(cache, 0..<10) == Array(0..<10))
    #expect(cache.size == 10 * Self.size)
  }

  @Test func roomIsGivenBackWhenABlockIsThere() throws {
    let cache = BlockCache(limit: 10 * Self.size + 500)
    // Were it not, some of the second ten would not fit.
    try fill(cache, 0..<20)
    #expect(present(cache, 0..<20) == Array(10..<20))
  }

  /// What the index says of a block's size may be wrong; what counts in the end is what was opened.
  @Test(arguments: [0, 1, 1_000_000]) func aWrongSizeIsCorrected(claimed: Int) throws {
    let cache = BlockCache(limit: 10 * Self.size + 500)
    _ = cache.block(blocks.key(50), size: claimed) { _ in Bytes([UInt8](repeating: 0, count: Self.size)) }
    #expect(cache.size == Self.size)
    try fill(cache, 0..<9)
    #expect(present(cache, 0..<9) == Array(0..<9) && cache.has(blocks.key(50)))
  }

  @Test func theLongestUnusedGoesFirst() throws {
    let cache = try fullCache()
    #expect(cache.has(blocks.key(0)) && cache.has(blocks.key(3)))
    try fill(cache, 10..<13)
    #expect(present(cache, 0..<13) == [0, 3] + Array(5..<13))
  }

  @Test func aBlockAboveTheLimitIsAloneAndDoesNotStay() throws {
    let cache = try fullCache()
    let size = 20 * Self.size
    let large = cache.block(blocks.key(99), size: size) { _ in Bytes([UInt8](repeating: 9, count: size)) }
    #expect(large.bytes.count == size && cache.size == size)
    try fill(cache, 0..<1)
    #expect(cache.size == Self.size && large.bytes.withFilled { $0.allSatisfy { $0 == 9 } })
  }

  /// Who needs little of a block gets its beginning; whoever wants more has all of it loaded, once.
  @Test func aBeginningIsMadeWholeWhenMoreIsWanted() throws {
    let cache = BlockCache(limit: 10 * Self.size)
    var asked: [Bool] = []
    func needed(_ count: Int?) -> Int {
      let block = cache.block(blocks.key(1), size: Self.size, needed: count) { isBeginningEnough in
        asked.append(isBeginningEnough)
        let bytes = Bytes(capacity: Self.size)
        bytes.count = isBeginningEnough ? count ?? 0 : Self.size
        return bytes
      }
      return block.bytes.count
    }
    #expect(needed(300) == 300)
    #expect(needed(200) == 300, "what is there is enough")
    #expect(needed(301) == Self.size)
    #expect(needed(Self.size) == Self.size && needed(nil) == Self.size)
    #expect(asked == [true, false])
    #expect(cache.size == Self.size, "the beginning is not counted any more")
    asked = []
    try fill(cache, 100..<120)
    #expect(needed(nil) == Self.size && asked == [false])
  }

  /// At any moment: what is kept and what is being opened together, except that one block may always be kept.
  @Test(.timeLimit(.minutes(5))) func theLimitHoldsUnderManyThreads() throws {
    let limit = 100_000
    let cache = BlockCache(limit: limit)
    let blocks = blocks
    let mistakes = Monitor<[String]>([])
    @Sendable func note(_ text: String) { mistakes.withLock { $0.append(text) } }
    try onThreads(8) { thread in
      var random = SeededGenerator(seed: SeededGenerator.seed &+ UInt64(thread))
      for round in 0..<3000 {
        let number = Int(random.next() % 64)
        let isFailing = random.next() % 7 == 0
        do {
          let block = try cache.block(blocks.key(number), size: blocks.size(number)) { _ in
            let kept = cache.size
            if kept + blocks.size(number) > limit, kept > 20_000 { note("\(kept) kept while opening \(number)") }
            if isFailing { throw OpeningFailed() }
            return blocks.bytes(number)
          }
          if !blocks.isRight(block, number) { note("wrong bytes for \(number)") }
        } catch {
          if !(error is OpeningFailed) || !isFailing { note("round \(round): \(error)") }
        }
        let kept = cache.size
        if kept > limit { note("\(kept) kept") }
      }
    }
    #expect(mistakes.withLock { $0.prefix(5) } == [], seedHint)
    // And nothing of it is held back afterwards.
    let other = Blocks()
    for number in 0..<10 {
      _ = cache.block(other.key(number), size: 9900) { _ in Bytes([UInt8](repeating: 0, count: 9900)) }
    }
    #expect((0..<10).allSatisfy { cache.has(other.key($0)) } && cache.size <= limit)
  }

  @Test(.timeLimit(.minutes(5))) func aBlockIsOpenedOnceForAll() throws {
    let cache = BlockCache(limit: 10 << 20)
    let blocks = blocks
    let opened = Counter()
    let given = Monitor<[[ObjectIdentifier]]>([])
    try onThreads(8) { thread in
      let found = (0..<200).map { number in
        let number = thread.isMultiple(of: 2) ? number : 199 - number
        return cache.block(blocks.key(number), size: blocks.size(number)) { _ in
          opened.add()
          return blocks.bytes(number)
        }
      }
      let right = found.enumerated().filter { index, block in
        blocks.isRight(block, thread.isMultiple(of: 2) ? index : 199 - index)
      }
      let ids = right.map { ObjectIdentifier($1) }
      given.withLock { $0.append(thread.isMultiple(of: 2) ? ids : ids.reversed()) }
    }
    #expect(opened.value == 200)
    let all = given.withLock { $0 }
    #expect(all.count == 8 && all.allSatisfy { $0.count == 200 && $0 == all[0] })
  }

  /// The others who wait for it try it themselves, instead of waiting for ever or getting an error that is not theirs.
  @Test(.timeLimit(.minutes(5))) func aFailureIsOfTheOneWhoOpened() throws {
    let blocks = blocks
    for _ in 0..<10 {
      let cache = BlockCache(limit: 1 << 20)
      let arrived = Counter()
      let opened = Counter()
      let failed = Counter()
      let right = Counter()
      try onThreads(6) { _ in
        arrived.add()
        let block = try? cache.block(blocks.key(7), size: blocks.size(7)) { _ in
          if opened.add() == 1 {
            // Until the others wait for it, most probably.
            while arrived.value < 6 { usleep(100) }
            usleep(2000)
            throw OpeningFailed()
          }
          return blocks.bytes(7)
        }
        if let block { if blocks.isRight(block, 7) { right.add() } } else { failed.add() }
      }
      try #require(opened.value == 2 && failed.value == 1 && right.value == 5)
    }
  }

  /// Hashing takes a part of the key only.
  @Test func likeKeysAreDifferentBlocks() throws {
    let cache = BlockCache(limit: 1 << 20)
    let first = System.random(32)
    for offset in 8..<32 {
      var other = first
      other[offset] ^= 1
      for pack in [first, other] {
        let key = BlockCache.Key(pack: try #require(ObjectID(pack)), number: 3)
        let block = cache.block(key, size: 32) { _ in Bytes(pack) }
        #expect(block.bytes.withFilled { $0.equals(pack) })
      }
    }
  }
}

@Suite struct BlockProofTests {
  /// Readers who share a cache far too small for them, with blocks that cannot be opened among the others.
  @Test(.timeLimit(.minutes(5))) func readersOfATightCacheGetWhatTheyAskFor() throws {
    let store = MemoryStore()
    let test = try TestRepository(in: store)
    var random = SeededGenerator()
    var settings = ChunkWriter.Settings()
    // Each chunk is a block of its own: damage is one chunk's.
    settings.dataBlockSize = 1
    settings.packSize = 400_000
    settings.level = 1
    let writer = try test.open()
    let chunks = (0..<60).map { _ in TestChunk(random.bytes(20_000 + Int(random.next() % 100_000)), writer) }
    try ChunkWriter.store(chunks, in: writer, settings)
    // A byte in the middle of the last chunk's block.
    let location = try #require(try writer.index.find(chunks[59].id))
    let path = ObjectKey.pack(location.pack).path
    store[path]?[Int(location.block.offset + location.block.sealedLength / 2)] ^= 1
    let damaged = Set(
      try chunks.filter {
        let other = try writer.index.find($0.id)
        return other?.pack == location.pack && other?.block == location.block
      }.map(\.id))

    let repository = try test.open(cacheSize: 300_000)
    let mistakes = Monitor<[String]>([])
    try onThreads(6) { thread in
      var random = SeededGenerator(seed: SeededGenerator.seed &+ UInt64(thread))
      for _ in 0..<150 {
        let chunk = chunks[Int(random.next() % 60)]
        let answer = Result { try chunk.isReadable(in: repository) }
        if (try? answer.get()) != (damaged.contains(chunk.id) ? nil : true) {
          mistakes.withLock { $0.append("\(chunk.id.short): \(answer)") }
        }
        let kept = repository.reader.cache.size
        if kept > 300_000 { mistakes.withLock { $0.append("\(kept) kept") } }
      }
    }
    #expect(mistakes.withLock { $0.prefix(5) } == [], seedHint)
  }
}
