import ChunkCodec
import ObjectStores
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

/// What a store, and thieves of keys, put in the place of what says who may do what: all of it well formed, and wrong.
@Suite struct EpochAttackTests {
  private let test: TestRepository
  private let memory = MemoryStore()
  private let told = Monitor<[String]>([])

  init() throws { test = try TestRepository(in: memory) }

  /// As a machine with a memory of its own.
  private func open(
    _ machine: TemporaryDirectory, by secret: Secret? = nil, epoch: UInt64? = nil, _ store: (any ObjectStore)? = nil
  ) throws -> Repository {
    try Repository.open(
      store ?? memory, secret: secret ?? test.secret,
      folders: LocalFolders(caches: machine.path + "/c", memories: machine.path + "/m"), epoch: epoch,
      warn: { [told] sentence in told.withLock { $0.append(sentence) } })
  }

  private func epochPath(_ number: UInt64) -> String { ObjectKey.epoch(number).path }

  /// An epoch for this repository, made with another root key.
  private func forged(_ number: UInt64, root: KeyPair = .generate(.ed25519)) throws -> [UInt8] {
    let repository = try test.open()
    var draft = EpochDraft(rootKey: root, repository: test.id)
    draft.add(.full, label: "mine", slot: repository.keyring.slot, created: .now())
    for _ in 1..<number {
      let bytes = try draft.seal(created: .now())
      let epoch = try SignedEpoch(bytes, number: draft.number, repository: test.id, root: root.publicKey)
      let keyring = try #require(try epoch.open(by: repository.keyring.slot))
      draft = try #require(EpochDraft(after: keyring))
    }
    return try draft.seal(created: .now())
  }

  // MARK: Forged and damaged epochs

  @Test func aForgedNewestEpochIsDamageAndNotPassedOver() throws {
    let good = try #require(memory[epochPath(1)])
    let writer = try test.addWriter(.writeOnly)
    let second = try #require(memory[epochPath(2)])
    let machine = try TemporaryDirectory()
    for (number, bytes) in [
      (3, try forged(3)), (3, second), (3, good), (3, []), (3, [UInt8](repeating: 0, count: 1000)),
      (3, try forged(3, root: writer.keyring.writer)), (UInt64.max, try forged(2)), (4, try forged(4)),
    ] as [(UInt64, [UInt8])] {
      memory[epochPath(number)] = bytes
      #expect(errorCode { _ = try open(machine) } == .damaged)
      #expect(errorMessage { _ = try open(machine) }.contains("YESTER_EPOCH=2"))
      // For reading, when the user says so; and nothing is ever written then.
      let reading = try open(machine, epoch: 2)
      #expect(try SnapshotCatalog(reading).snapshots.isEmpty)
      #expect(throws: YesterError.self) { try reading.addSnapshot(1) }
      #expect(throws: YesterError.self) { try reading.requireCurrentKeys() }
      #expect(throws: YesterError.self) { try reading.store.delete(.config) }
      #expect(throws: YesterError.self) { try reading.store.put(.condemned(1), [1]) }
      #expect(throws: YesterError.self) { try reading.store.replace(.config, [1]) }
      // Nor by somebody who opened it before.
      #expect(throws: YesterError.self) { try writer.requireCurrentKeys() }
      memory[epochPath(number)] = nil
    }
    #expect(throws: Never.self) { try open(machine) }
  }

  @Test func everyChangedByteOfTheNewestEpochIsDamage() throws {
    let good = try #require(memory[epochPath(1)])
    for offset in stride(from: 0, to: good.count, by: 7) {
      var bad = good
      bad[offset] ^= 0x10
      memory[epochPath(1)] = bad
      #expect(errorCode { _ = try test.open() } == .damaged, "offset \(offset)")
    }
    memory[epochPath(1)] = nil
    #expect(errorCode { _ = try test.open() } == .damaged)
  }

  @Test func anEpochThatIsListedAndNotGivenIsNoAbsence() throws {
    _ = try test.addSlot(.full)
    let blind = BlindStore(memory, to: .epoch(2))
    #expect(errorMessage { _ = try test.open(blind) }.contains("does not give"))
  }

  // MARK: Slots

  /// A derivation takes a third of a second and 128 MiB.
  @Test func forgedSlotsAreNotEvenRead() throws {
    let root = try test.open().config.rootPublicKey
    for _ in 0..<5 {
      let slot = try KeySlot.make(
        with: .password(Array("guess".utf8)), repository: test.id, root: root, created: .now(), log2N: 10)
      memory["keys/\(slot.key.id)"] = slot.bytes
    }
    let read = Monitor<[String]>([])
    let watched = WatchedStore(memory) { call in
      if case .get(let key) = call { read.withLock { $0.append(key.path) } }
    }
    #expect(errorCode { _ = try test.open(watched, by: .password(Array("guess".utf8))) } == .wrongKey)
    let slot = try test.open().slot
    #expect(read.withLock { $0 }.filter { $0.hasPrefix("keys/") } == ["keys/\(slot)"])
  }

  /// Somebody makes a repository of his own, and puts the user's slot into force there: it opens by the user's password.
  @Test func aSlotOpensNoOtherRepository() throws {
    let slot = try test.open().keyring.slot
    let bytes = memory["keys/\(slot.id)"]
    let root = KeyPair.generate(.ed25519)
    let config = RepositoryConfig(rootPublicKey: root.publicKey, digest: Repository.digest)
    for repository in [config.id, test.id] {
      var draft = EpochDraft(rootKey: root, repository: repository)
      draft.add(.full, label: "yours", slot: slot, created: .now())
      let store = MemoryStore()
      store["config"] = config.encode(digest: Repository.digest)
      store["keys/\(slot.id)"] = bytes
      store[epochPath(1)] = try draft.seal(created: .now())
      #expect(errorCode { _ = try test.open(store) } == .damaged)
    }
    // And a slot that somebody has made for the right id, who knows the secret but not the root key.
    let made = try KeySlot.make(with: test.secret, repository: test.id, root: root.publicKey, created: .now())
    #expect(throws: FormatError.self) {
      try KeySlot.open(
        made.bytes, repository: test.id, root: test.open().config.rootPublicKey, with: test.secret)
    }
  }

  @Test func anExchangedConfigIsDamage() throws {
    let other = MemoryStore()
    let stranger = try TestRepository(in: other)
    memory["config"] = other["config"]
    #expect(errorCode { _ = try test.open() } == .damaged)
    memory[epochPath(1)] = other[epochPath(1)]
    for id in try other.ids(.keys) { memory["keys/\(id)"] = other["keys/\(id)"] }
    // All of another repository: it is that one, and the user's secret is none of it.
    #expect(errorCode { _ = try test.open() } == .wrongKey)
    #expect(try test.open(by: stranger.secret).config.id == stranger.id)
  }

  // MARK: Old epochs

  @Test func anOldEpochIsToldAndNothingIsWrittenUnderIt() throws {
    let machine = try TemporaryDirectory()
    let stolen = try test.addSlot(.full)
    let slots = memory.paths.filter { $0.hasPrefix("keys/") }.map { ($0, memory[$0]) }
    let repository = try open(machine)
    let member = try #require(repository.keyring.roster.members.last?.id)
    try repository.beginEpoch { $0.remove(member, [:]) }
    _ = try open(machine)
    // The store gives back the state in which the stolen key was in force.
    let newest = memory[epochPath(3)]
    memory[epochPath(3)] = nil
    for (path, bytes) in slots { memory[path] = bytes }
    told.withLock { $0 = [] }
    for secret in [test.secret, stolen] {
      let old = try open(machine, by: secret)
      #expect(errorCode { try old.requireCurrentKeys() } == .damaged)
      #expect(errorMessage { try old.addSnapshot(1) }.contains("has seen epoch 3"))
    }
    #expect(told.withLock { $0 }.contains { $0.contains("epoch 3") })
    // A machine that has seen nothing cannot know.
    let other = try TemporaryDirectory()
    #expect(throws: Never.self) { try open(other).requireCurrentKeys() }
    memory[epochPath(3)] = newest
    #expect(throws: Never.self) { try open(machine).requireCurrentKeys() }
    #expect(errorCode { _ = try open(machine, by: stolen) } == .wrongKey)
  }

  /// Only a thief of a full key can make one.
  @Test(arguments: [UInt64(0), 1, 3]) func anotherEpochOfOneNumberIsTold(more: UInt64) throws {
    let machine = try TemporaryDirectory()
    let first = try test.open()
    try first.beginEpoch { try $0.rotate([:]) }
    _ = try open(machine)
    let mine = memory[epochPath(2)]
    memory[epochPath(2)] = nil
    try first.beginEpoch { try $0.rotate([:]) }
    #expect(memory[epochPath(2)] != mine)
    for _ in 0..<more { try test.rotate() }
    #expect(errorCode { try open(machine).requireCurrentKeys() } == .damaged)
    #expect(errorCode { try open(machine).addSnapshot(1) } == .damaged)
    #expect(told.withLock { $0 }.contains { $0.contains("epoch 2 that this machine has seen") })
  }

  @Test func epochsThatFollowAreTaken() throws {
    let machine = try TemporaryDirectory()
    _ = try open(machine)
    for _ in 0..<4 { try test.rotate() }
    #expect(throws: Never.self) { try open(machine).requireCurrentKeys() }
    #expect(told.withLock { $0 }.isEmpty)
  }

  // MARK: Removed keys

  /// With a full key that was removed: a record that makes rotation remove all others, and a note that removes them.
  @Test func whatARemovedKeyStoresCountsForNothing() throws {
    let stolen = try test.addWriter(.full)
    let genuine = try test.open().addSnapshot(1)
    let kept = try stolen.addSnapshot(2)
    let end = try SnapshotCatalog(test.open()).chainEnd(of: stolen.keyring.writer.publicKey)
    try test.open().beginEpoch {
      $0.remove(
        stolen.keyring.member,
        [stolen.keyring.writer.publicKey: ChainEnd(sequence: end.next - 1, id: try #require(end.previous))])
    }
    // The thief goes on as if he had not seen it, and says to have known the epoch in which his key was in force.
    let late = try stolen.addSnapshot(3)
    try stolen.addNote(.removed, [genuine, kept])
    for isCached in [false, true] {
      let catalog = try SnapshotCatalog(test.open(), trustingCache: isCached)
      #expect(catalog.snapshots.map(\.id) == [genuine, kept])
      #expect(catalog.uncounted.map(\.id).contains(late) && catalog.uncounted.count == 2)
      #expect(catalog.damaged.isEmpty && catalog.leftovers.isEmpty)
      #expect(ChainCheck.findings(catalog) == [])
    }
    // Numbers far away leave no gap that would stop whatever deletes.
    var far = snapshotRecord(4)
    far.sequence = Limits.sequenceMax
    let bytes = try RecordSealing.seal(far, stolen.keyring)
    memory["snapshots/\(ObjectID(nameOf: SHA256.hash(bytes)))"] = bytes
    #expect(try ChainCheck.findings(SnapshotCatalog(test.open())) == [])
  }

  /// A catalog of before the removal must not save what does not count any more.
  @Test func theCacheDoesNotGiveBackWhatWasRevoked() throws {
    let stolen = try test.addWriter(.writeOnly)
    let own = try test.open()
    for day in 1...20 { try own.addSnapshot(day) }
    let bad = try stolen.addSnapshot(21)
    #expect(try SnapshotCatalog(test.open(), trustingCache: true).snapshots.count == 21)
    try test.open().beginEpoch { $0.revoke(stolen.keyring.member, [:]) }
    let catalog = try SnapshotCatalog(test.open(), trustingCache: true)
    #expect(catalog.snapshots.count == 20 && catalog.uncounted.map(\.id) == [bad])
  }
}
