import ChunkCodec
import DirectoryStores
import ObjectStores
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import Synchronization
import TestSupport
import Testing

private func names(_ test: TestRepository) throws -> [String] {
  var out: [String] = []
  try test.store.list(.leases) { name, _ in out.append(name) }
  return out.sorted()
}

@Suite struct LeaseTests {
  @Test func aLeaseIsThereUntilItIsReleased() throws {
    let test = try TestRepository()
    let repository = try test.open()
    try repository.condemn(.zero)
    let lease = try #require(try Lease.take(repository, .mount))
    let found = try #require(try Leases.list(test.open()).first)
    let record = try #require(found.record)
    #expect(record.purpose == .mount && record.host == System.hostName && record.sequence == 1)
    #expect(record.process == UInt64(System.processID) && !found.isDead)
    #expect(record.seen == 1 && record.snapshot == nil)
    #expect(found.writer == repository.keyring.writer.publicKey)
    #expect(found.name.count == 32 && found.name == Hex.encode(lease.id))
    let second = try #require(try Lease.take(repository, .read))
    #expect(try Leases.list(repository).map(\.record?.purpose) == [.mount, .read])
    lease.release()
    lease.release()
    #expect(try Leases.list(repository).map(\.record?.purpose) == [.read])
    second.release()
    #expect(try names(test).isEmpty)
  }

  @Test func aForgottenLeaseReleasesItself() throws {
    let test = try TestRepository()
    do {
      let lease = try Lease.take(test.open(), .backup)
      #expect(try names(test).count == 1)
      withExtendedLifetime(lease) {}
    }
    #expect(try names(test).isEmpty)
  }

  /// It keeps its name, and says which list it has let go of; one that was removed is there again.
  @Test func aRenewalReplacesTheLease() throws {
    let test = try TestRepository()
    let repository = try test.open()
    let holds = Mutex(true)
    let lease = try #require(try Lease.take(repository, .backup) { holds.withLock { $0 } ? 0 : $0.number })
    let name = try #require(try names(test).first)
    try test.open().condemn(.zero)
    func found() throws -> LeaseRecord? { try Leases.list(repository).first?.record }
    try lease.renew()
    #expect(try names(test) == [name])
    #expect(try found()?.sequence == 2 && found()?.seen == 0)
    // From now on this process builds on the pack no more, whatever else it uses.
    #expect(repository.index.current.condemned.packs[.zero] != nil)
    holds.withLock { $0 = false }
    try test.store.delete(.lease(name))
    try lease.renew()
    #expect(try names(test) == [name])
    #expect(try found()?.sequence == 3 && found()?.seen == 1)
    // A list that is known once stays known.
    holds.withLock { $0 = true }
    try lease.renew()
    #expect(try found()?.seen == 1)
    lease.release()
    try lease.renew()
    #expect(try names(test).isEmpty)
  }

  /// Somebody who reads for a while uses what it has begun with.
  @Test func whoHasNoWayToLetGoHoldsWhatIsCondemnedLater() throws {
    let test = try TestRepository()
    let lease = try #require(try Lease.take(test.open(), .read))
    try test.open().condemn(.zero)
    try lease.renew()
    #expect(try Leases.list(test.open()).first?.record?.seen == 0)
    lease.release()
  }

  @Test func anAbandonedLeaseSpeaksOn() throws {
    let test = try TestRepository()
    do {
      let lease = try #require(try Lease.take(test.open(), .backup))
      try lease.announce(.zero)
      lease.abandon()
    }
    #expect(try Leases.list(test.open()).first?.record?.snapshot == .zero)
  }

  @Test func onlyWhatIsKnownToBeDeadIsRemoved() throws {
    let test = try TestRepository()
    let repository = try test.open()
    func changingBoot(_ part: Int, _ value: String) throws -> LeaseRecord {
      // Machine, boot, namespace of process numbers.
      try repository.putLease { lease in
        var parts = lease.bootID.split(separator: " ").map(String.init)
        parts[part] = value
        lease.bootID = parts.joined(separator: " ")
        lease.process = 3_999_999
      }
    }
    // This very process; another host; another start, machine or namespace of a machine with this name, be it a copy of
    // this one; a snapshot that was announced and not proven.
    let kept = [
      try repository.putLease(),
      try repository.putLease {
        $0.host = "another-host.invalid"
        $0.process = 4_000_000_000
      },
      try changingBoot(1, "00000000-0000-0000-0000-000000000000"), try changingBoot(0, "-"),
      try changingBoot(2, "pid:[1]"),
    ]
    let announced = try repository.putLease {
      $0.process = 3_999_999
      $0.snapshot = .zero
    }
    // No such process; a process with this number that began later.
    let dead = [
      try repository.putLease { $0.process = 3_999_999 }, try repository.putLease { $0.process = UInt64(Int32.max) },
      try repository.putLease { $0.process = .max }, try repository.putLease { $0.processStart += 1 },
    ]
    let found = try Leases.list(repository)
    #expect(found.count == 10)
    #expect(Set(found.filter(\.isDead).map(\.id)) == Set(dead.map(\.id) + [announced.id]))
    try Leases.removeDead(repository)
    #expect(Set(try Leases.list(repository).map(\.id)) == Set(kept.map(\.id) + [announced.id]))
  }

  /// Renewed at any moment while others look: it is seen.
  @Test func aLeaseThatIsRenewedWhileOthersLookIsNotPassedOver() throws {
    for wanted in 1...6 {
      let test = try TestRepository()
      let lease = try #require(try Lease.take(test.open(), .backup))
      let calls = Mutex(0)
      let store = WatchedStore(test.store) { _ in
        let number = calls.withLock {
          $0 += 1
          return $0
        }
        if number == wanted { try lease.renew() }
      }
      #expect(try Leases.list(test.open(store)).map(\.id) == [lease.id], "at call \(wanted)")
      lease.release()
    }
  }

  /// Where there are no links, a claim is an empty file for a moment: it may have become whole since it was looked at.
  @Test func anEmptyLeaseThatBecomesWholeIsNotRemoved() throws {
    let test = try TestRepository()
    let record = try test.open().putLease()
    let bytes = try #require(try test.store.get(.lease(record.name), limit: 9999))
    try test.store.replace(.lease(record.name), [])
    let looks = Mutex(0)
    let store = WatchedStore(test.store) { call in
      guard case .get(.lease(record.name)) = call else { return }
      // The first is that of the list.
      let look = looks.withLock { looks in
        looks += 1
        return looks
      }
      if look == 3 { try test.store.replace(.lease(record.name), bytes) }
    }
    try Leases.removeDead(test.open(store))
    #expect(looks.withLock { $0 } == 3)
    #expect(try names(test) == [record.name])
  }

  /// They count as somebody's, and are no error: whoever could make them must not be able to stop anybody.
  @Test func leasesThatNobodyCanReadAreFound() throws {
    let test = try TestRepository()
    let repository = try test.open()
    let other = try TestRepository()
    let foreign = try other.open().putLease()
    let foreignBytes = try #require(try other.store.get(.lease(foreign.name), limit: 9999))
    let own = try repository.putLease()
    let ownBytes = try #require(try test.store.get(.lease(own.name), limit: 9999))
    try test.store.delete(.lease(own.name))
    let name = Hex.encode(System.random(16))
    var states: Set<[UInt8]> = []
    let junk = [
      [1, 2, 3], foreignBytes, [UInt8](repeating: 9, count: 500), [UInt8](repeating: 9, count: 100_000),
      // The lease of another name.
      ownBytes,
    ]
    for bytes in junk {
      try test.store.replace(.lease(name), bytes)
      let found = try #require(try Leases.list(repository).first)
      #expect(found.record == nil && found.writer == nil && !found.isDead && found.name == name)
      #expect(states.insert(found.state).inserted)
      try Leases.removeDead(repository)
      #expect(try names(test) == [name])
    }
  }

  /// A name tells whose lease it is: who has only the key that all have cannot make a lease of another writer.
  @Test func aLeaseIsSigned() throws {
    let test = try TestRepository()
    let writer = try test.addWriter(.writeOnly)
    let record = try writer.putLease { $0.snapshot = .zero }
    let found = try #require(try Leases.list(test.open()).first)
    #expect(found.record == record && found.writer == writer.keyring.writer.publicKey)
  }

  /// A lease is not synced: after a power failure its name may be there with nothing in it.
  @Test(arguments: [0, 500]) func whatAPowerFailureLeavesIsRemoved(zeros: Int) throws {
    let test = try TestRepository()
    let repository = try test.open()
    let name = Hex.encode(System.random(16))
    try test.store.put(.lease(name), [UInt8](repeating: 0, count: zeros))
    #expect(try Leases.list(repository).isEmpty)
    try Leases.removeDead(repository)
    #expect(try test.store.size(.lease(name)) == nil)
  }

  @Test func aNameIsClaimedByOneAtATime() throws {
    let test = try TestRepository()
    let claim = try #require(try NameClaim.take(test.open(), "host/name"))
    #expect(try NameClaim.take(test.open(), "host/name") == nil)
    let other = try #require(try NameClaim.take(test.open(), "host/other"))
    claim.release()
    other.release()
    #expect(try names(test).isEmpty)
    // One of a process that is gone is in nobody's way, one that cannot be read is.
    let again = try #require(try NameClaim.take(test.open(), "host/name"))
    let name = try #require(try names(test).first)
    try test.open().putLease {
      $0.id = Hex.decode(name) ?? []
      $0.purpose = .name
      $0.process = 3_999_999
    }
    try #require(try NameClaim.take(test.open(), "host/name")).release()
    try test.store.replace(.lease(name), [1, 2, 3])
    #expect(try NameClaim.take(test.open(), "host/name") == nil)
    again.release()
  }

  @Test func foreignFilesAreNoLeases() throws {
    try withTemporaryDirectory { path in
      let test = try TestRepository(in: DirectoryStore.create(path + "/r"))
      for name in ["a", "README", "deadbeef", ".DS_Store"] { try writeFile("\(path)/r/leases/\(name)", [1]) }
      #expect(try Leases.list(test.open()).isEmpty)
    }
  }

  @Test(arguments: [Errno.readOnly, .noSpace, .overQuota])
  func readingNeedsNoLeaseWhereNothingCanBeWritten(cause: Errno) throws {
    let test = try TestRepository()
    let repository = try test.open(ReadOnlyStore(store: test.store, cause: cause))
    #expect(try Lease.take(repository, .read, isRequired: false) == nil)
    #expect(errorCode { _ = try Lease.take(repository, .backup) } == .failed)
    #expect(throws: YesterError.self) {
      try Lease.take(test.open(FaultyStore(test.store, failingAt: 4, .forGood)), .read, isRequired: false)
    }
  }
}

private struct ReadOnlyStore: StoreWrapper {
  let store: any ObjectStore
  let cause: Errno
  private var refusal: YesterError { YesterError(.failed, "nothing can be written", cause: cause) }

  func put(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool { throw refusal }
  func putBriefly(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool { throw refusal }
  func replace(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) { throw refusal }
  func put(_ key: ObjectKey, content: any ObjectContent) throws(YesterError) -> Bool { throw refusal }
  func beginUpload() throws(YesterError) -> any ObjectUpload { throw refusal }
  func delete(_ key: ObjectKey) throws(YesterError) { throw refusal }
}
