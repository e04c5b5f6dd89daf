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
  private func slots(isComplete: Bool = false) throws -> [KeySlots.Found] {
    try KeySlots.list(test.open(), isComplete: isComplete)
  }
  private func slot(_ id: ObjectID) throws -> KeySlots.Found {
    try #require(try slots().first { $0.member.slot == id })
  }
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
    let labels = try slots().map { String(decoding: $0.member.label, as: UTF8.self) }
    #expect(labels == ["first", "the second ✓"])
    #expect(try slots().allSatisfy { $0.state == .inForce })
  }

  @Test func longLabelsAreCut() throws {
    let id = try KeySlots.add(test.open(), .full, newSecret(), label: String(repeating: "x", count: 300))
    #expect(try slot(id).member.label.count == Limits.labelSizeMax)
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

  @Test func aWriteOnlyKeyChangesNoKeys() throws {
    let secret = newSecret()
    let id = try KeySlots.add(test.open(), .writeOnly, secret, label: "")
    let writer = try test.open(by: secret)
    #expect(errorCode { _ = try KeySlots.add(writer, .writeOnly, newSecret(), label: "") } == .wrongKey)
    #expect(errorCode { _ = try KeySlots.change(writer, to: newSecret()) } == .wrongKey)
    #expect(errorCode { _ = try KeySlots.rotate(writer) } == .wrongKey)
    for slot in [id, try test.open().slot] {
      #expect(errorCode { try remove(slot, by: secret, isForced: true) } == .wrongKey)
      #expect(errorCode { _ = try KeySlots.revoke(self.slot(slot), writer, from: .beginning) } == .wrongKey)
    }
    #expect(try slots().count == 2)
  }

  @Test func keysAreFoundByABeginningThatIsLongEnoughOrByTheirLabel() throws {
    let id = try test.open().slot
    let slots = try slots()
    #expect(try KeySlots.find(String(id.hex.prefix(4)).uppercased(), in: slots).member.slot == id)
    #expect(try KeySlots.find("first", in: slots).member.slot == id)
    for text in ["", String(id.hex.prefix(3)), "zzzz", id.hex + "0", "First"] {
      #expect(throws: YesterError.self, "\(text)") { try KeySlots.find(text, in: slots) }
    }
    #expect(errorMessage { _ = try KeySlots.find(String(id.hex.prefix(5)), in: slots + slots) }.contains("2 keys"))
  }

  @Test func aKeyForOneHostMakesNoSnapshotOfAnother() throws {
    let secret = newSecret()
    _ = try KeySlots.add(test.open(), .writeOnly, secret, label: "", hosts: ["web"])
    let writer = try test.open(by: secret)
    #expect(throws: Never.self) { try writer.requireHost("web") }
    #expect(errorMessage { try writer.requireHost("db") }.contains("web"))
    #expect(throws: Never.self) { try test.open().requireHost("db") }
    // What it stores all the same counts for nothing, and is no gap in its chain.
    var record = snapshotRecord(1)
    record.host = "db"
    _ = try writer.store(&record, after: SnapshotCatalog(writer))
    var own = snapshotRecord(2)
    own.host = "web"
    own.sequence = 2
    own.previous = try SnapshotCatalog(test.open()).uncounted.first?.id
    let bytes = try RecordSealing.seal(own, writer.keyring)
    memory["snapshots/\(ObjectID(nameOf: SHA256.hash(bytes)))"] = bytes
    for isCached in [false, true, true] {
      let catalog = try SnapshotCatalog(test.open(), trustingCache: isCached)
      #expect(catalog.snapshots.map(\.record.host) == ["web"] && catalog.damaged.isEmpty)
      #expect(catalog.uncounted.map(\.name) == ["20261101_0930"])
      #expect(ChainCheck.findings(catalog) == [])
    }
  }

  // MARK: Changing

  @Test func aChangedSecretKeepsLabelRoleAndWriter() throws {
    let before = try test.open()
    let secret = newSecret()
    let id = try KeySlots.change(before, to: secret)
    let after = try test.open(by: secret)
    #expect(after.slot == id && after.keyring.member == before.keyring.member && !opens(test.secret))
    #expect(after.keyring.writer.publicKey == before.keyring.writer.publicKey)
    #expect(after.keyring.current.id == before.keyring.current.id)
    #expect(try KeySlots.list(after).map(\.member.label) == [Array("first".utf8)])
    #expect(memory.paths.filter { $0.hasPrefix("keys/") } == ["keys/\(id)"])
  }

  @Test func aFullKeyChangesTheSecretOfAnother() throws {
    let (old, new) = (newSecret(), newSecret())
    let id = try KeySlots.add(test.open(), .writeOnly, old, label: "weak")
    let member = try slot(id).member.id
    let writer = try test.open(by: old).keyring.writer.publicKey
    _ = try KeySlots.change(test.open(), to: new, of: member)
    #expect(!opens(old) && opens(test.secret))
    let after = try test.open(by: new).keyring
    #expect(after.role == .writeOnly && after.writer.publicKey == writer && after.member == member)
  }

  /// Its slot is out of force: it opens nothing, whether it is there or not.
  @Test func anOldSlotThatIsNotDeletedOpensNothing() throws {
    let refusing = WatchedStore(test.store) { call throws(YesterError) in
      if case .delete(let key) = call, key.path.hasPrefix("keys/") {
        throw YesterError(.failed, "Deleting is refused", cause: .notPermitted)
      }
    }
    let secret = newSecret()
    _ = try KeySlots.change(test.open(refusing), to: secret)
    #expect(memory.paths.count { $0.hasPrefix("keys/") } == 2)
    #expect(errorCode { _ = try test.open() } == .wrongKey)
    #expect(opens(secret))
  }

  private enum Change: CaseIterable { case add, change, rotate, remove, revoke }

  /// Whatever call fails: what opened the repository opens it, unless the change took place; and the next one works.
  @Test(arguments: Change.allCases, [FaultyStore.Mode.once, .forGood, .afterwards])
  private func aChangeThatFailsAtAnyCallShutsNobodyOut(change: Change, mode: FaultyStore.Mode) throws {
    var call = 0
    while true {
      call += 1
      let memory = MemoryStore()
      let test = try TestRepository(in: memory)
      let other = try test.addSlot(.full)
      let new = newSecret()
      try test.open().addSnapshot(1)
      // Opening takes so many calls, and is not what this is about.
      let counted = FaultyStore(memory)
      let found = try KeySlots.list(test.open(counted)).last
      let faulty = FaultyStore(memory, failingAt: counted.calls + call, mode)
      let through = try test.open(faulty)
      _ = try KeySlots.list(through)
      var isDone = true
      do {
        switch change {
        case .add: _ = try KeySlots.add(through, .full, new, label: "")
        case .change: _ = try KeySlots.change(through, to: new)
        case .rotate: _ = try KeySlots.rotate(through)
        case .remove: try KeySlots.remove(#require(found), through, isForced: false)
        case .revoke: _ = try KeySlots.revoke(#require(found), through, from: .now)
        }
      } catch {
        isDone = false
      }
      func opens(_ secret: Secret) -> Bool { (try? test.open(by: secret)) != nil }
      switch change {
      case .add: #expect(opens(test.secret) && opens(other) && (!isDone || opens(new)), "at call \(call)")
      case .change: #expect(opens(other) && opens(test.secret) != opens(new), "at call \(call)")
      case .rotate: #expect(opens(test.secret) && opens(other), "at call \(call)")
      case .remove, .revoke: #expect(opens(test.secret) && (!isDone || !opens(other)), "at call \(call)")
      }
      let way = opens(new) && change == .change ? new : test.secret
      #expect(throws: Never.self, "at call \(call)") { try KeySlots.rotate(test.open(by: way)) }
      #expect(try SnapshotCatalog(test.open(by: way)).snapshots.count == 1, "at call \(call)")
      if !faulty.hasFailed { break }
    }
    #expect(call > 3)
  }

  /// An upload that is sent again finds its own bytes there.
  @Test func anEpochWhoseAnswerWasLostIsDone() throws {
    let deaf = WatchedStore(test.store) { [memory] call in
      if case .put(let key) = call, key.path == "epochs/0000000000000002", memory[key.path] == nil {
        throw YesterError(.failed, "a first try that does not arrive")
      }
    }
    // One that has not arrived may still do so: then its slot is needed.
    #expect(errorCode { _ = try KeySlots.add(test.open(deaf), .full, newSecret(), label: "") } == .incomplete)
    #expect(memory.paths.count { $0.hasPrefix("keys/") } == 2 && memory.paths.count { $0.hasPrefix("epochs/") } == 1)
    // And an answer that was lost is asked for.
    let secret = newSecret()
    let lost = ScriptedStore(test.store) { [memory] _, name in
      // The second thing that it stores, behind the slot.
      let slots = memory.paths.count { $0.hasPrefix("keys/") }
      return name == "put" && slots == 3 && memory[ObjectKey.epoch(2).path] == nil ? .answerIsLost : .works
    }
    _ = try KeySlots.add(test.open(lost), .full, secret, label: "")
    #expect(opens(secret))
    #expect(try test.open().keyring.epoch.number == 2)
  }

  // MARK: Two at once

  @Test func twoChangesAtOnceBothTakePlace() throws {
    let (first, second) = (newSecret(), newSecret())
    let inner = Monitor(false)
    let racing = WatchedStore(test.store) { [test] call in
      guard case .put(let key) = call, key.path == "epochs/0000000000000002" else { return }
      let isFirst = inner.withLock { done in
        defer { done = true }
        return !done
      }
      if isFirst { _ = try KeySlots.add(test.open(), .writeOnly, second, label: "second") }
    }
    _ = try KeySlots.add(test.open(racing), .full, first, label: "first")
    #expect(opens(first) && opens(second) && opens(test.secret))
    #expect(try test.open().keyring.epoch.number == 3)
  }

  @Test func twoRotationsAtOnceLeaveEverybodyWithTheSameKeys() throws {
    let secret = newSecret()
    _ = try KeySlots.add(test.open(), .full, secret, label: "")
    let inner = Monitor(false)
    let racing = WatchedStore(test.store) { [test] call in
      guard case .put(let key) = call, key.path == "epochs/0000000000000003" else { return }
      let isFirst = inner.withLock { done in
        defer { done = true }
        return !done
      }
      if isFirst { try KeySlots.rotate(test.open(by: secret)) }
    }
    try KeySlots.rotate(test.open(racing))
    let keyrings = try [test.secret, secret].map { try test.open(by: $0).keyring }
    #expect(keyrings[0].current.id == keyrings[1].current.id && keyrings[0].keySets.count == 3)
    for secret in [test.secret, secret] {
      #expect(throws: Never.self) { try test.open(by: secret).requireCurrentKeys() }
    }
  }

  /// Two people look at the list at the same time, and each removes the other's key.
  @Test func twoFullKeysDoNotRemoveEachOther() throws {
    let secret = newSecret()
    let id = try KeySlots.add(test.open(), .full, secret, label: "")
    let (one, other) = (try test.open(), try test.open(by: secret))
    let (mine, theirs) = (try slot(one.slot), try slot(id))
    try KeySlots.remove(theirs, one, isForced: false)
    #expect(errorCode { try KeySlots.remove(mine, other, isForced: false) } == .wrongKey)
    #expect(opens(test.secret))
  }

  @Test func aKeyThatCameMeanwhileIsASuccessor() throws {
    let repository = try test.open()
    let seen = try slot(repository.slot)
    let secret = newSecret()
    _ = try KeySlots.add(repository, .full, secret, label: "")
    try KeySlots.remove(seen, repository, isForced: true)
    #expect(opens(secret) && !opens(test.secret))
  }

  // MARK: Rotating

  @Test func rotatedKeysStayOpenToEverybody() throws {
    let secret = newSecret()
    _ = try KeySlots.add(test.open(), .writeOnly, secret, label: "")
    let (old, oldWeak) = (try test.open(), try test.open(by: secret))
    try KeySlots.rotate(old)
    let (new, newWeak) = (try test.open(), try test.open(by: secret))
    for (before, after) in [(old, new), (oldWeak, newWeak)] {
      #expect(after.keyring.current.id != before.keyring.current.id)
      #expect(after.keyring.writer.publicKey != before.keyring.writer.publicKey)
      #expect(after.keyring.listKey != before.keyring.listKey)
      #expect(after.keyring.keySet(before.keyring.current.id) != nil)
      #expect(after.keyring.slot.id == before.keyring.slot.id && after.keyring.member == before.keyring.member)
      #expect(throws: Never.self) { try after.requireCurrentKeys() }
      // What began before the rotation would be open to whomever it was to shut out.
      #expect(errorMessage { try before.requireCurrentKeys() }.contains("rotated"))
    }
  }

  @Test func aNewKeyDoesNotEndARun() throws {
    let running = try test.open()
    _ = try KeySlots.add(test.open(), .full, newSecret(), label: "")
    #expect(throws: Never.self) { try running.requireCurrentKeys() }
  }

  @Test func aRunOfARemovedKeyEnds() throws {
    let secret = newSecret()
    let id = try KeySlots.add(test.open(), .full, secret, label: "")
    let running = try test.open(by: secret)
    try remove(id)
    #expect(errorCode { try running.requireCurrentKeys() } == .wrongKey)
  }

  /// A backup stores its record between the moment when the chains were looked at and that in which the epoch was there.
  @Test(arguments: [false, true]) func recordsThatComeMeanwhileCount(isRemoval: Bool) throws {
    let secret = newSecret()
    let id = try KeySlots.add(test.open(), .full, secret, label: "")
    let running = try test.open(by: secret)
    try running.addSnapshot(1)
    let racing = WatchedStore(test.store) { call in
      if case .put(let key) = call, key.path == "epochs/0000000000000003" { try running.addSnapshot(2) }
    }
    if isRemoval {
      try KeySlots.remove(slot(id), test.open(racing), isForced: false)
    } else {
      try KeySlots.rotate(test.open(racing))
    }
    let catalog = try SnapshotCatalog(test.open())
    #expect(catalog.snapshots.count == 2 && catalog.uncounted.isEmpty)
    // What comes later does not.
    try running.addSnapshot(3)
    let later = try SnapshotCatalog(test.open())
    #expect(later.snapshots.count == 2 && later.uncounted.count == 1)
  }

  @Test func recordsThatCannotBeReadStopARotation() throws {
    try test.open().addSnapshot(1)
    let id = try test.open().addSnapshot(2)
    memory.damage(.snapshot(id))
    #expect(errorCode { try KeySlots.rotate(test.open()) } == .damaged)
    let other = try KeySlots.add(test.open(), .full, newSecret(), label: "")
    #expect(errorCode { try remove(other) } == .damaged)
    try remove(other, isForced: true)
    try KeySlots.rotate(test.open(), isForced: true)
    #expect(try SnapshotCatalog(test.open()).snapshots.count == 1)
  }

  // MARK: Removing

  @Test func theLastFullKeyIsNotRemovedEvenByForce() throws {
    let repository = try test.open()
    _ = try KeySlots.add(repository, .writeOnly, newSecret(), label: "")
    for isForced in [false, true] {
      #expect(throws: YesterError.self) { try remove(repository.slot, isForced: isForced) }
    }
    #expect(errorMessage { try remove(repository.slot, isForced: true) }.contains("the last full one"))
    #expect(opens(test.secret))
  }

  @Test func theKeyInUseIsRemovedOnlyByForce() throws {
    let secret = newSecret()
    let repository = try test.open()
    _ = try KeySlots.add(repository, .full, secret, label: "")
    #expect(errorMessage { try remove(repository.slot) }.contains("opened the repository just now"))
    try remove(repository.slot, isForced: true)
    #expect(!opens(test.secret) && opens(secret))
  }

  @Test func aRemovedKeyOpensNothingAndTheOthersDo() throws {
    let secrets = [newSecret(), newSecret()]
    let ids = try zip([KeyRole.full, .writeOnly], secrets).map {
      try KeySlots.add(test.open(), $0, $1, label: "")
    }
    for (id, secret) in zip(ids, secrets) {
      #expect(opens(secret))
      try remove(id)
      #expect(!opens(secret) && opens(test.secret))
    }
    #expect(try slots().count == 1)
    #expect(try slots(isComplete: true).map(\.state) == [.inForce, .removed, .removed])
  }

  /// With the slot and the epoch that go with it, from an old copy.
  @Test func aSlotThatIsPutBackOpensNothing() throws {
    let secret = newSecret()
    let id = try KeySlots.add(test.open(), .full, secret, label: "")
    let bytes = memory["keys/\(id)"]
    try remove(id)
    #expect(memory["keys/\(id)"] == nil)
    memory["keys/\(id)"] = bytes
    #expect(errorCode { _ = try test.open(by: secret) } == .wrongKey)
    #expect(try slots().count == 1)
  }

  @Test func aKeyWhoseSlotIsDamagedIsSeenAndIsNoSuccessor() throws {
    let id = try KeySlots.add(test.open(), .full, newSecret(), label: "")
    for isMissing in [false, true] {
      if isMissing { memory["keys/\(id)"] = nil } else { memory.damage(.slot(id)) }
      let repository = try test.open()
      #expect(try slot(id).state == .unusable)
      #expect(errorMessage { try remove(repository.slot, isForced: true) }.contains("the last full one"))
    }
    try remove(id)
    #expect(try slots().map(\.member.slot) == [try test.open().slot])
  }

  @Test func aSlotThatIsListedAndNotGivenIsNoAbsence() throws {
    let id = try KeySlots.add(test.open(), .full, newSecret(), label: "")
    let blind = try test.open(BlindStore(test.store, to: .slot(id)), by: test.secret)
    #expect(errorMessage { _ = try KeySlots.list(blind) }.contains("does not give it"))
  }

  // MARK: Left-over slots

  private func leftover(madeAt seconds: Int64) throws -> ObjectID {
    let repository = try test.open()
    let slot = try KeySlot.make(
      with: newSecret(), repository: test.id, root: repository.config.rootPublicKey,
      created: Timestamp(seconds: seconds))
    memory["keys/\(slot.key.id)"] = slot.bytes
    return slot.key.id
  }

  @Test func leftOversOfCrashesGoWithTheNextChange() throws {
    let now = Timestamp.now().seconds
    let (old, new) = (try leftover(madeAt: now - 7200), try leftover(madeAt: now - 60))
    let garbage = ObjectID(nameOf: SHA256.hash([1, 2, 3]))
    memory["keys/\(garbage)"] = [1, 2, 3]
    try KeySlots.rotate(test.open())
    #expect(memory["keys/\(old)"] == nil && memory["keys/\(garbage)"] == nil)
    // Somebody may be about to put it into force.
    #expect(memory["keys/\(new)"] != nil)
    #expect(try opens(test.secret) && slots().count == 1)
  }

  @Test func aSlotIsNotSweptFromUnderWhoeverPutsItIntoForce() throws {
    // A machine whose clock is far behind makes a slot that looks old.
    let secret = newSecret()
    let adding = try test.open()
    let slot = try KeySlot.make(
      with: secret, repository: test.id, root: adding.config.rootPublicKey, created: Timestamp(seconds: 0))
    memory["keys/\(slot.key.id)"] = slot.bytes
    // It comes into force just before the sweeper deletes it.
    let sweeping = WatchedStore(test.store) { [test] call in
      guard case .delete(let key) = call, key.path == "keys/\(slot.key.id)" else { return }
      try test.open().beginEpoch { $0.add(.full, label: "late", slot: slot.key, created: .now()) }
    }
    try KeySlots.rotate(test.open(sweeping))
    #expect(opens(secret))
  }
}
