import ChunkCodec
import ObjectStores
import Platform
import Reporting
import RepositoryFormat
import TestSupport
import Testing

private let hint = Comment(rawValue: "YESTER_TEST_SEED=\(SeededGenerator.seed)")

/// A store with one object, and what that was.
private struct Fixture {
  let base = MemoryStore()
  let store: ProtectedStore
  let key: ObjectKey
  let content: [UInt8]
  let whole: [UInt8]

  init(contentSize: Int, _ random: inout SeededGenerator, index: Bool = false) throws {
    store = ProtectedStore(base)
    content = random.bytes(contentSize)
    let naming = ObjectNaming(.parity)
    content.withUnsafeBytes { naming.append($0) }
    let (tail, id) = naming.finish()
    whole = content + tail
    key = index ? .index(id) : .pack(id)
    let upload = try store.beginUpload()
    for part in [whole[..<1000], whole[1000...]] { try Array(part).withUnsafeBytes { try upload.append($0) } }
    try upload.commit(as: key)
  }

  func damage(_ bytes: [UInt8]) { base[key.path] = bytes }

  func reread(at offset: Int, count: Int) throws -> [UInt8]? {
    var out = [UInt8](repeating: 0xEE, count: count)
    return try out.withUnsafeMutableBytes { try store.read(key, at: UInt64(offset), into: $0) } ? out : nil
  }

  /// Reads everything in spite of the damage, has it told, mends it, and looks whether all is as it was.
  func proveHealed(_ what: String, readsAll: Bool = true) throws {
    let hint = Comment(rawValue: what + ", \(content.count) bytes, YESTER_TEST_SEED=\(SeededGenerator.seed)")
    let isDamaged = base[key.path] != whole
    if readsAll { #expect(try reread(at: 0, count: content.count) == content, hint) }
    #expect(try store.canMend(key), hint)
    let size = UInt64(base[key.path]?.count ?? 0)
    #expect(try store.condition(of: key, size: size, isProven: !isDamaged) == (isDamaged ? .mendable : .sound), hint)
    #expect(try store.mend(key), hint)
    #expect(base[key.path] == whole, hint)
    #expect(store.log.objects.isEmpty)
  }
}

private enum Damage: String, CaseIterable {
  case garbage, zeros, flip

  func apply(to bytes: inout [UInt8], _ range: Range<Int>, _ random: inout SeededGenerator) {
    switch self {
    case .garbage: bytes.replaceSubrange(range, with: random.bytes(range.count))
    case .zeros: bytes.replaceSubrange(range, with: repeatElement(0, count: range.count))
    case .flip: bytes[range.lowerBound] ^= 1
    }
  }
}

private let sizes = [
  256 << 10, (256 << 10) + 1, (257 << 10) + 1, (272 << 10) - 1, 272 << 10, (272 << 10) + 1, 1 << 20, (1 << 20) + 777,
]

@Suite struct HealingTests {
  @Test(arguments: sizes) func damageOf64KiBAnywhereIsMadeGood(size: Int) throws {
    var random = SeededGenerator()
    let fixture = try Fixture(contentSize: size, &random, index: size.isMultiple(of: 2))
    #expect(fixture.base[ObjectKey.copy(of: fixture.key).path] == nil, "it has parity")
    let count = fixture.whole.count
    var starts = Array(stride(from: 0, to: count, by: max(64 << 10, count / 12)))
    // Across the border of content, tables and parity.
    let layout = ParityLayout(contentSize: UInt64(size))
    for edge in [layout.contentSize, layout.parityOffset, layout.lastTableOffset].map(Int.init) {
      starts += [edge - 1, edge - (64 << 10) + 1, edge - (40 << 10), edge - (64 << 10) + layout.tableSize + 1]
    }
    for _ in 0..<4 { starts.append(random.below(count)) }
    for start in starts where start >= 0 && start < count {
      let kind = Damage.allCases[random.below(3)]
      var bytes = fixture.whole
      kind.apply(to: &bytes, start..<min(count, start + (64 << 10)), &random)
      fixture.damage(bytes)
      try fixture.proveHealed("\(kind) from \(start)", readsAll: size < 2 << 20)
    }
  }

  @Test(arguments: sizes) func anEndThatIsCutOffComesBack(size: Int) throws {
    var random = SeededGenerator()
    let fixture = try Fixture(contentSize: size, &random)
    let count = fixture.whole.count
    for cut in [1, 7, 8, 100, 5000, 16 << 10, (16 << 10) + 1, (64 << 10) - 1, 64 << 10] {
      fixture.damage(Array(fixture.whole.dropLast(cut)))
      #expect(try fixture.store.originalSize(fixture.key) == UInt64(count))
      try fixture.proveHealed("cut by \(cut)", readsAll: size < 2 << 20)
    }
    // Also all that is not content and its first table.
    let layout = ParityLayout(contentSize: UInt64(size))
    fixture.damage(Array(fixture.whole[..<Int(layout.parityOffset)]))
    try fixture.proveHealed("cut behind the first table", readsAll: size < 2 << 20)
    for more in [1, 100, 60_000] {
      fixture.damage(fixture.whole + [UInt8](repeating: 0, count: more))
      try fixture.proveHealed("longer by \(more)", readsAll: size < 2 << 20)
    }
  }

  @Test func onlyPartsThatAreAskedForAreRead() throws {
    var random = SeededGenerator()
    let fixture = try Fixture(contentSize: 700_001, &random)
    var bytes = fixture.whole
    Damage.garbage.apply(to: &bytes, 100_000..<165_000, &random)
    fixture.damage(bytes)
    for (offset, count) in [(0, 1), (99_999, 3), (100_000, 65_000), (0, 700_001), (700_000, 1), (16_384, 16_384)] {
      #expect(try fixture.reread(at: offset, count: count) == Array(fixture.content[offset..<(offset + count)]))
    }
    #expect(fixture.store.log.objects == [fixture.key: .damaged])
    #expect(try fixture.reread(at: 700_000, count: 2) == nil, "there is no content behind the content")
  }

  @Test func moreThanParityCanMendIsNotMendedWrongly() throws {
    var random = SeededGenerator()
    let fixture = try Fixture(contentSize: 1 << 20, &random)
    var bytes = fixture.whole
    // Shards 0 and 8 are of one group.
    bytes[5] ^= 1
    bytes[8 * ParityLayout.shardSize + 9] ^= 1
    fixture.damage(bytes)
    #expect(try fixture.reread(at: 0, count: 100) == nil)
    #expect(try fixture.reread(at: 20_000, count: 100) == Array(fixture.content[20_000..<20_100]))
    #expect(try !fixture.store.canMend(fixture.key))
    #expect(try !fixture.store.mend(fixture.key))
    #expect(fixture.base[fixture.key.path] == bytes)
    #expect(fixture.base.openUploads == 0)
    for hopeless in [[], [1, 2, 3], random.bytes(400_000), [UInt8](repeating: 0, count: 1 << 20)] {
      fixture.damage(hopeless)
      #expect(try !fixture.store.mend(fixture.key))
      #expect(try fixture.store.originalSize(fixture.key) == nil)
    }
  }

  /// Whatever stands there: nothing wrong is read, and nothing ends the process.
  @Test func scatteredDamageIsMadeGoodOrRefused() throws {
    var random = SeededGenerator()
    let fixture = try Fixture(contentSize: 300_000, &random)
    var healed = 0
    for _ in 0..<60 {
      var bytes = fixture.whole
      for _ in 0..<(1 + random.below(4)) {
        let start = random.below(bytes.count)
        let kind = Damage.allCases[random.below(3)]
        kind.apply(to: &bytes, start..<min(bytes.count, start + random.below(9000) + 1), &random)
      }
      if random.below(4) == 0 { bytes.removeLast(random.below(50_000)) }
      fixture.damage(bytes)
      if let read = try fixture.reread(at: 0, count: 300_000) {
        #expect(read == fixture.content, hint)
        healed += 1
      }
      if try fixture.store.mend(fixture.key) { #expect(fixture.base[fixture.key.path] == fixture.whole, hint) }
    }
    #expect(healed > 20, hint)
  }

  @Test func aTableThatLiesIsNoTable() throws {
    var random = SeededGenerator()
    let fixture = try Fixture(contentSize: 300_000, &random)
    let layout = ParityLayout(contentSize: 300_000)
    let lies: [UInt64] = [0, 1, 299_999, 300_001, 262_144, .max, UInt64(Int64.max), ParityLayout.contentSizeMax]
    for lie in lies {
      var bytes = fixture.whole
      for start in [layout.contentSize, layout.lastTableOffset].map(Int.init) {
        for byte in 0..<8 { bytes[start + 8 + byte] = UInt8(truncatingIfNeeded: lie >> (8 * byte)) }
      }
      for size in [bytes.count, bytes.count - 1] {
        fixture.damage(Array(bytes[..<size]))
        #expect(try fixture.reread(at: 0, count: 10) == nil)
        #expect(try !fixture.store.mend(fixture.key))
      }
    }
    // Of an object that claims to be larger than any, nothing is asked.
    let store = ProtectedStore(HugeStore(fixture.base))
    #expect(try store.originalSize(fixture.key) == nil)
  }

  @Test func aReadErrorIsDamageOfWhatCannotBeRead() throws {
    var random = SeededGenerator()
    let fixture = try Fixture(contentSize: 500_000, &random)
    let bad = BadSectors(fixture.base, fixture.key, 131_000..<135_096)
    let store = ProtectedStore(bad)
    var out = [UInt8](repeating: 0, count: 500_000)
    #expect(try out.withUnsafeMutableBytes { try store.read(fixture.key, at: 0, into: $0) })
    #expect(out == fixture.content)
    #expect(store.log.objects == [fixture.key: .damaged])
    #expect(try store.canMend(fixture.key))
  }

  // MARK: Second copies

  private static func small(_ store: ProtectedStore, _ random: inout SeededGenerator) throws -> [(ObjectKey, [UInt8])] {
    let config = RepositoryConfig(rootPublicKey: random.bytes(32), protection: .parity) { SHA256.hash($0).bytes }
    var out: [(ObjectKey, [UInt8])] = [(.config, config.encode { SHA256.hash($0).bytes })]
    for size in [0, 1, 300, 70_000, (256 << 10) - 1] {
      let bytes = random.bytes(size)
      let id = ObjectID(nameOf: SHA256.hash(bytes))
      out += [.pack(id), .index(id), .snapshot(id), .slot(id)].map { ($0, bytes) }
    }
    let large = random.bytes(300_000)
    out.append((.snapshot(ObjectID(nameOf: SHA256.hash(large))), large))
    for (key, bytes) in out { try store.put(key, bytes) }
    return out
  }

  @Test func aSmallObjectIsKeptTwice() throws {
    var random = SeededGenerator()
    let base = MemoryStore()
    let store = ProtectedStore(base)
    for (key, bytes) in try Self.small(store, &random) {
      let copy = ObjectKey.copy(of: key)
      for (number, damaged) in [nil, [], Array(bytes.dropLast()), bytes + [1], bytes.map { ~$0 }].enumerated() {
        if damaged == bytes { continue }
        base[key.path] = damaged
        #expect(try store.get(key, limit: 1 << 20) == bytes, "\(key) \(number)")
        #expect(store.log.objects == [key: damaged == nil ? .missing : .damaged])
        #expect(try store.condition(of: key, size: 0, isProven: false) == .mendable)
        #expect(try store.mend(key))
        #expect(base[key.path] == bytes)
        #expect(store.log.objects.isEmpty)

        // The other one.
        let kept = base[copy.path]
        base[copy.path] = damaged
        #expect(try store.get(key, limit: 1 << 20) == bytes)
        #expect(store.log.objects.isEmpty, "the first is sound")
        #expect(try store.condition(of: key, size: UInt64(bytes.count), isProven: key != .config) == .lacksCopy)
        #expect(try store.mend(key))
        #expect(base[copy.path] == kept)
      }
      base[key.path] = bytes + [1]
      base[copy.path] = [2]
      #expect(try store.get(key, limit: 1 << 20) == bytes + [1], "who asks for it will say that it is damaged")
      if key != .config { #expect(try !store.mend(key)) }
    }
  }

  @Test func partsOfSmallPacksComeFromTheSecondCopy() throws {
    var random = SeededGenerator()
    let fixture = try Fixture(contentSize: 5000, &random)
    #expect(fixture.base[ObjectKey.copy(of: fixture.key).path] == fixture.whole)
    fixture.damage(Array(fixture.whole.prefix(2000)))
    #expect(try fixture.reread(at: 1000, count: 4000) == Array(fixture.content[1000...]))
    #expect(try fixture.reread(at: 1000, count: 4001) == nil)
    #expect(try fixture.store.originalSize(fixture.key) == 5000)
    try fixture.proveHealed("cut")
  }

  @Test func whatIsDeletedLeavesNoCopyAndALeaseHasNone() throws {
    var random = SeededGenerator()
    let base = MemoryStore()
    let store = ProtectedStore(base)
    let all = try Self.small(store, &random)
    #expect(base.paths.count == 2 * all.count)
    let lease = ObjectKey.lease(String(repeating: "0a", count: 16) + "-" + String(repeating: "0", count: 16))
    try store.putBriefly(lease, [1])
    #expect(base.paths.count == 2 * all.count + 1)
    for (key, _) in all + [(lease, [])] { try store.delete(key) }
    #expect(base.paths.isEmpty)
  }

  /// A crash between two calls never leaves a copy alone.
  @Test func theCopyComesLastAndGoesFirst() throws {
    let (key, bytes) = (ObjectKey.snapshot(ObjectID(nameOf: SHA256.hash([1]))), [UInt8]([1]))
    for call in 1...10 {
      let base = MemoryStore()
      let faulty = ProtectedStore(FaultyStore(base, failingAt: call, .forGood))
      _ = try? faulty.put(key, bytes)
      #expect(base[key.path] != nil || base[ObjectKey.copy(of: key).path] == nil)
      try ProtectedStore(base).put(key, bytes)
      #expect(base[ObjectKey.copy(of: key).path] == bytes, "who puts it again completes it")
      let other = ProtectedStore(FaultyStore(base, failingAt: call, .forGood))
      _ = try? other.delete(key)
      #expect(base[key.path] != nil || base[ObjectKey.copy(of: key).path] == nil)
    }
  }

  @Test func whatIsDeletedWhileItsCopyIsWrittenLeavesNone() throws {
    let base = MemoryStore()
    let (key, bytes) = (ObjectKey.index(ObjectID(nameOf: SHA256.hash([1]))), [UInt8]([1]))
    try ProtectedStore(DeletingStore(base, key)).put(key, bytes)
    #expect(base.paths.isEmpty)
  }

  @Test func eachObjectIsToldOnce() throws {
    var random = SeededGenerator()
    let told = Monitor<[String]>([])
    let base = MemoryStore()
    let store = ProtectedStore(base, DamageLog { line in told.update { $0.append(line) } })
    let (key, bytes) = try #require(try Self.small(store, &random).last)
    base.damage(key)
    for _ in 0..<3 { #expect(try store.get(key, limit: 1 << 20) == bytes) }
    #expect(told.withLock { $0.count } == 1)
    #expect(told.withLock { $0.first?.contains(key.path) == true && $0.first?.contains("verify --repair") == true })
    #expect(try store.mend(key))
    base.damage(key)
    _ = try store.get(key, limit: 1 << 20)
    #expect(told.withLock { $0.count } == 2)
  }
}

/// A disk that cannot read some bytes of one object.
private final class BadSectors: StoreWrapper {
  let store: any ObjectStore
  private let key: ObjectKey
  private let bad: Range<UInt64>

  init(_ store: any ObjectStore, _ key: ObjectKey, _ bad: Range<UInt64>) {
    self.store = store
    self.key = key
    self.bad = bad
  }

  func get(
    _ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(YesterError) -> Bool {
    if key == self.key, bad.overlaps(offset..<(offset + UInt64(buffer.count))) {
      throw .system("Reading", key.path, .inputOutput)
    }
    return try store.get(key, at: offset, into: buffer)
  }
}

/// Each object is larger than there are disks.
private final class HugeStore: StoreWrapper {
  let store: any ObjectStore
  init(_ store: any ObjectStore) { self.store = store }
  func size(_ key: ObjectKey) throws(YesterError) -> UInt64? { 1 << 62 }
}

/// Somebody deletes the object as soon as it is there.
private final class DeletingStore: StoreWrapper {
  let store: any ObjectStore
  private let key: ObjectKey

  init(_ store: any ObjectStore, _ key: ObjectKey) {
    self.store = store
    self.key = key
  }

  func put(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    defer { if key == self.key { try? ProtectedStore(store).delete(key) } }
    return try store.put(key, bytes)
  }
}
