import ChunkCodec
import Maintenance
import ObjectStores
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

/// Who can open a repository, and that somebody always can.
@Suite struct KeySlotTests {
  private let test: TestRepository
  private let memory = MemoryStore()

  init() throws { test = try TestRepository(in: memory) }

  private func newSecret() -> Secret { .keyFile(System.random(32)) }
  private func slots() throws -> [KeySlots.Found] { try KeySlots.list(test.open()) }
  private func slot(_ id: ObjectID) throws -> KeySlots.Found { try #require(try slots().first { $0.id == id }) }
  private func opens(_ secret: Secret) -> Bool { (try? test.open(by: secret)) != nil }

  private func remove(_ id: ObjectID, by secret: Secret? = nil, isForced: Bool = false) throws {
    try KeySlots.remove(slot(id), test.open(by: secret), isForced: isForced)
  }

  // MARK: Opening and adding

  @Test func aSecretThatFitsNoSlotIsSaidToBeWrong() throws {
    #expect(errorCode { _ = try test.open(by: newSecret()) } == .wrongKey)
    #expect(errorCode { _ = try test.open(by: .password(Array("guess".utf8))) } == .wrongKey)
  }

  @Test func anAddedSecretOpensTheRepositoryAndTheOldOneStill() throws {
    let secret = newSecret()
    let id = try KeySlots.add(test.open(), .full, secret, label: "the second ✓")
    let other = try test.open(by: secret)
    #expect(other.slot == id && other.keyring.role == .full && opens(test.secret))
    // What it writes is its own.
    #expect(try other.keyring.writer.publicKey != test.open().keyring.writer.publicKey)
    let labels = try slots().map { String(decoding: $0.readable?.label ?? [], as: UTF8.self) }
    #expect(labels.sorted() == ["first", "the second ✓"])
  }

  @Test func aSecretOpensOneSlotOnly() throws {
    let secret = newSecret()
    let repository = try test.open()
    _ = try KeySlots.add(repository, .writeOnly, secret, label: "")
    for used in [secret, test.secret] {
      #expect(errorMessage { _ = try KeySlots.add(repository, .full, used, label: "") }.contains("already opens"))
      #expect(errorMessage { _ = try KeySlots.change(repository, to: used) }.contains("already opens"))
    }
    #expect(try slots().count == 2)
  }

  @Test func aWriteOnlyKeyNeitherAddsRotatesNorRemovesKeys() throws {
    let secret = newSecret()
    let id = try KeySlots.add(test.open(), .writeOnly, secret, label: "")
    let writer = try test.open(by: secret)
    #expect(errorCode { _ = try KeySlots.add(writer, .writeOnly, newSecret(), label: "") } == .wrongKey)
    #expect(errorCode { _ = try KeySlots.rotate(writer, secret) } == .wrongKey)
    for slot in [id, try test.open().slot] {
      #expect(errorCode { try remove(slot, by: secret, isForced: true) } == .wrongKey)
    }
    #expect(try slots().count == 2)
  }

  @Test func slotsAreFoundByABeginningThatIsLongEnough() throws {
    let id = try test.open().slot
    let slots = try slots()
    #expect(try KeySlots.find(String(id.hex.prefix(4)).uppercased(), in: slots).id == id)
    for text in ["", String(id.hex.prefix(3)), "zzzz", id.hex + "0"] {
      #expect(throws: YesterError.self, "\(text)") { try KeySlots.find(text, in: slots) }
    }
    #expect(errorMessage { _ = try KeySlots.find(String(id.hex.prefix(5)), in: slots + slots) }.contains("2 key slots"))
  }

  // MARK: Changing

  @Test func aChangedSecretKeepsLabelRoleAndWriter() throws {
    let before = try test.open()
    let secret = newSecret()
    let id = try KeySlots.change(before, to: secret)
    let after = try test.open(by: secret)
    #expect(after.slot == id && after.keyring.payload == before.keyring.payload && !opens(test.secret))
    #expect(try KeySlots.list(after).map { $0.readable?.label } == [Array("first".utf8)])
  }

  @Test func anOldSlotThatCannotBeDeletedIsToldAndTheNewOneStays() throws {
    let refusing = WatchedStore(test.store) { call throws(YesterError) in
      if case .delete(let key) = call, key.path.hasPrefix("keys/") {
        throw YesterError(.failed, "Deleting is refused", cause: .notPermitted)
      }
    }
    let secret = newSecret()
    #expect(errorCode { _ = try KeySlots.change(test.open(refusing), to: secret) } == .incomplete)
    #expect(opens(secret) && opens(test.secret))
  }

  /// Whatever call fails: one of the secrets opens the repository.
  @Test(arguments: [false, true], [FaultyStore.Mode.once, .forGood, .afterwards])
  func aChangeThatFailsAtAnyCallShutsNobodyOut(isRotation: Bool, mode: FaultyStore.Mode) throws {
    var call = 0
    while true {
      call += 1
      let memory = MemoryStore()
      let test = try TestRepository(in: memory)
      let secret = isRotation ? test.secret : newSecret()
      // Opening takes so many calls, and is not what this is about.
      let counted = FaultyStore(memory)
      _ = try test.open(counted)
      let faulty = FaultyStore(memory, failingAt: counted.calls + call, mode)
      let through = try test.open(faulty)
      var isDone = true
      do {
        if isRotation { _ = try KeySlots.rotate(through, secret) } else { _ = try KeySlots.change(through, to: secret) }
      } catch {
        isDone = false
      }
      let isNewOpen = (try? test.open(by: secret)) != nil
      let isOldOpen = (try? test.open()) != nil
      #expect(isNewOpen || isOldOpen, "at call \(call)")
      #expect(!isDone || isNewOpen, "at call \(call)")
      if !faulty.hasFailed { break }
    }
    #expect(call > 3)
  }

  // MARK: Rotating

  @Test func rotatedKeysLeaveOtherSlotsBehind() throws {
    let secret = newSecret()
    let behind = try KeySlots.add(test.open(), .full, secret, label: "")
    let id = try KeySlots.rotate(test.open(), test.secret)
    let repository = try test.open()
    let slots = try KeySlots.list(repository)
    #expect(KeySlots.state(try slot(id), among: slots, repository) == .current)
    #expect(KeySlots.state(try slot(behind), among: slots, repository) == .outdated)
    // Seen from behind it is the same.
    let outdated = try test.open(by: secret)
    #expect(KeySlots.state(try slot(behind), among: slots, outdated) == .outdated)
    #expect(KeySlots.state(try slot(id), among: slots, outdated) == .current)
    #expect(errorMessage { _ = try KeySlots.rotate(outdated, secret) }.contains("outdated"))
    #expect(errorCode { try outdated.requireCurrentKeys() } == .wrongKey)
    #expect(repository.keyring.keySets.count == 2 && outdated.keyring.keySets.count == 1)
  }

  // MARK: Removing

  @Test func theLastFullSlotIsNotRemovedEvenByForce() throws {
    let repository = try test.open()
    _ = try KeySlots.add(repository, .writeOnly, newSecret(), label: "")
    for isForced in [false, true] {
      #expect(throws: YesterError.self) { try remove(repository.slot, isForced: isForced) }
    }
    #expect(errorMessage { try remove(repository.slot, isForced: true) }.contains("the last full one"))
    #expect(opens(test.secret))
  }

  @Test func theSlotInUseIsRemovedOnlyByForce() throws {
    let secret = newSecret()
    let repository = try test.open()
    _ = try KeySlots.add(repository, .full, secret, label: "")
    #expect(errorMessage { try remove(repository.slot) }.contains("opened the repository just now"))
    try remove(repository.slot, isForced: true)
    #expect(!opens(test.secret) && opens(secret))
  }

  @Test func aRemovedSlotOpensNothingAndTheOthersDo() throws {
    let secrets = [newSecret(), newSecret()]
    let ids = try zip([KeyRole.full, .writeOnly], secrets).map {
      try KeySlots.add(test.open(), $0, $1, label: "")
    }
    for (id, secret) in zip(ids, secrets) {
      #expect(opens(secret))
      try remove(id)
      #expect(!opens(secret) && opens(test.secret))
    }
  }

  @Test func aSlotWithoutTheNewKeysIsNoSuccessorOfOneWithThem() throws {
    let secret = newSecret()
    let behind = try KeySlots.add(test.open(), .full, secret, label: "")
    let id = try KeySlots.rotate(test.open(), test.secret)
    // Snapshots sealed with the new keys would be lost with it.
    for key in [test.secret, secret] {
      #expect(errorMessage { try remove(id, by: key, isForced: true) }.contains("only full one that holds its keys"))
    }
    try remove(behind)
    #expect(opens(test.secret))
  }

  @Test func aDamagedSlotIsSeenAndRemovedOnlyByForce() throws {
    let id = try KeySlots.add(test.open(), .full, newSecret(), label: "")
    memory.damage(.slot(id))
    let repository = try test.open()
    #expect(KeySlots.state(try slot(id), among: try slots(), repository) == .unusable)
    // It may be the last one for all that anybody knows, but it is not counted as one.
    #expect(errorMessage { try remove(repository.slot, isForced: true) }.contains("the last full one"))
    #expect(errorMessage { try remove(id) }.contains("damaged"))
    try remove(id, isForced: true)
    #expect(try slots().map(\.id) == [repository.slot])
  }

  /// Two people look at the list at the same time, and each removes the other's slot.
  @Test func aSlotThatIsGoneMeanwhileIsNoSuccessor() throws {
    let secret = newSecret()
    let repository = try test.open()
    let id = try KeySlots.add(repository, .full, secret, label: "")
    let other = try test.open(by: secret)
    let seen = try KeySlots.list(repository)
    try KeySlots.remove(slot(id), repository, isForced: false)
    let mine = try #require(seen.first { $0.id == repository.slot })
    #expect(throws: YesterError.self) { try KeySlots.remove(mine, other, isForced: false) }
    #expect(opens(test.secret))
  }

  @Test func aSlotThatCameMeanwhileIsASuccessor() throws {
    let repository = try test.open()
    let seen = try slot(repository.slot)
    let secret = newSecret()
    _ = try KeySlots.add(repository, .full, secret, label: "")
    try KeySlots.remove(seen, repository, isForced: true)
    #expect(opens(secret) && !opens(test.secret))
  }

  /// It could be the one that tells that the keys were rotated.
  @Test func aSlotThatIsListedAndNotGivenIsNoAbsence() throws {
    let id = try KeySlots.add(test.open(), .full, newSecret(), label: "")
    let blind = try test.open(BlindStore(test.store, to: .slot(id)), by: test.secret)
    #expect(errorMessage { try blind.requireCurrentKeys() }.contains("does not give it"))
    #expect(errorMessage { _ = try KeySlots.list(blind) }.contains("does not give it"))
  }
}
