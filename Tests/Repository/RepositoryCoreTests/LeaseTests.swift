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
    let lease = try #require(try Lease.take(repository, .mount))
    let found = try #require(try Leases.list(test.open()).first)
    #expect(found.record.purpose == .mount && found.record.host == System.hostName && found.record.sequence == 1)
    #expect(found.record.process == UInt64(System.processID) && !found.isDead)
    #expect(found.name.count == 49 && found.name.hasSuffix("-0000000000000001"))
    try lease.requireHeld()
    let second = try #require(try Lease.take(repository, .read))
    #expect(try Leases.list(repository).map(\.record.purpose) == [.mount, .read])
    lease.release()
    lease.release()
    #expect(try Leases.list(repository).map(\.record.purpose) == [.read])
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

  @Test func aLeaseThatSomebodyRemovedIsNotHeld() throws {
    let test = try TestRepository()
    let lease = try #require(try Lease.take(test.open(), .backup))
    try lease.requireHeld()
    let name = try #require(try names(test).first)
    try test.store.delete(.lease(name))
    #expect(errorCode { try lease.requireHeld() } == .busy)
    lease.release()
  }

  @Test func onlyWhatIsKnownToBeDeadIsRemoved() throws {
    let test = try TestRepository()
    let repository = try test.open()
    let alive = try repository.putLease()
    let elsewhere = try repository.putLease {
      $0.host = "another-host.invalid"
      $0.process = 4_000_000_000
    }
    // No such process; a process with this number that began later; this machine before its last start.
    let dead = [
      try repository.putLease { $0.process = 3_999_999 }, try repository.putLease { $0.process = UInt64(Int32.max) },
      try repository.putLease { $0.process = .max }, try repository.putLease { $0.processStart += 1 },
      try repository.putLease { lease in
        // Machine, boot, namespace of process numbers: only the second differs.
        var parts = lease.bootID.split(separator: " ").map(String.init)
        parts[1] = "00000000-0000-0000-0000-000000000000"
        lease.bootID = parts.joined(separator: " ")
      },
    ]
    let found = try Leases.list(repository)
    #expect(found.count == 7)
    #expect(Set(found.filter(\.isDead).map(\.record.id)) == Set(dead.map(\.id)))
    try Leases.removeDead(repository)
    #expect(Set(try Leases.list(repository).map(\.record.id)) == [alive.id, elsewhere.id])
  }

  @Test func ofARenewedLeaseTheLaterCounts() throws {
    let test = try TestRepository()
    let repository = try test.open()
    let first = try repository.putLease { $0.sequence = 9 }
    try repository.putLease {
      $0.id = first.id
      $0.sequence = 10
    }
    let found = try Leases.list(repository)
    #expect(found.map(\.record.sequence) == [10])
    #expect(found[0].name.hasSuffix("000a"))
  }

  /// A renewal gives a lease another name: who has listed the old one finds nothing there.
  @Test func aLeaseThatIsRenewedWhileOthersLookIsNotPassedOver() throws {
    let test = try TestRepository()
    let first = try test.open().putLease { $0.sequence = 9 }
    let old = try #require(try names(test).first)
    let isRenewed = Mutex(false)
    let store = WatchedStore(test.store) { call in
      guard call == .get(.lease(old)), !isRenewed.withLock({ $0 }) else { return }
      isRenewed.withLock { $0 = true }
      try test.open().putLease {
        $0.id = first.id
        $0.sequence = 10
      }
      try test.store.delete(.lease(old))
    }
    let found = try Leases.list(test.open(store))
    #expect(isRenewed.withLock { $0 })
    #expect(found.map(\.record.sequence) == [10])
  }

  /// Where there are no links, a lease is an empty file for a moment: it may have become whole since it was looked at.
  @Test func anEmptyLeaseThatBecomesWholeIsNotRemoved() throws {
    let test = try TestRepository()
    let name = Hex.encode(System.random(16)) + "-0000000000000001"
    try test.store.put(.lease(name), [])
    let looks = Mutex(0)
    let whole = Mutex<String?>(nil)
    let store = WatchedStore(test.store) { call in
      guard case .get(.lease(name)) = call else { return }
      // The first is that of the list.
      let look = looks.withLock { looks in
        looks += 1
        return looks
      }
      guard look == 3 else { return }
      let record = try test.open().putLease()
      let other = Hex.encode(record.id) + "-0000000000000001"
      let bytes = try #require(try test.store.get(.lease(other), limit: 9999))
      try test.store.delete(.lease(other))
      try test.store.delete(.lease(name))
      try test.store.put(.lease(name), bytes)
      whole.withLock { $0 = name }
    }
    try Leases.removeDead(test.open(store))
    #expect(whole.withLock { $0 } == name)
    #expect(try names(test) == [name])
  }

  @Test func aLeaseThatNobodyCanReadIsNotPassedOver() throws {
    let test = try TestRepository()
    let repository = try test.open()
    let other = try TestRepository()
    let name = Hex.encode(System.random(16)) + "-0000000000000001"
    let foreign = try other.open().putLease()
    #expect(foreign.sequence == 1)
    let foreignName = try #require(try names(other).first)
    let foreignBytes = try #require(try other.store.get(.lease(foreignName), limit: 9999))
    for bytes in [[1, 2, 3], foreignBytes, [UInt8](repeating: 9, count: 500)] {
      try test.store.put(.lease(name), bytes)
      #expect(errorCode { _ = try Leases.list(repository) } == .damaged)
      #expect(errorCode { try Leases.removeDead(repository) } == .damaged)
      try test.store.delete(.lease(name))
    }
    #expect(try Leases.list(repository).isEmpty)
  }

  /// A lease is not synced: after a power failure its name may be there with nothing in it.
  @Test(arguments: [0, 500]) func whatAPowerFailureLeavesIsRemoved(zeros: Int) throws {
    let test = try TestRepository()
    let repository = try test.open()
    let name = Hex.encode(System.random(16)) + "-0000000000000001"
    try test.store.put(.lease(name), [UInt8](repeating: 0, count: zeros))
    #expect(try Leases.list(repository).isEmpty)
    try Leases.removeDead(repository)
    #expect(try test.store.size(.lease(name)) == nil)
  }

  @Test func foreignFilesAreNoLeases() throws {
    try withTemporaryDirectory { path in
      let test = try TestRepository(in: DirectoryStore.create(path + "/r"))
      for name in ["a", "README", "deadbeef", ".DS_Store"] { try writeFile("\(path)/r/leases/\(name)", [1]) }
      #expect(try Leases.list(test.open()).isEmpty)
    }
  }

  @Test func readingNeedsNoLeaseWhereNothingCanBeWritten() throws {
    let test = try TestRepository()
    let repository = try test.open(ReadOnlyStore(store: test.store))
    #expect(try Lease.take(repository, .read, isRequired: false) == nil)
    #expect(errorCode { _ = try Lease.take(repository, .backup) } == .failed)
    #expect(throws: YesterError.self) {
      try Lease.take(test.open(FaultyStore(test.store, failingAt: 4, .forGood)), .read, isRequired: false)
    }
  }
}

private struct ReadOnlyStore: StoreWrapper {
  let store: any ObjectStore
  private var refusal: YesterError { YesterError(.failed, "read-only", cause: .readOnly) }

  func put(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool { throw refusal }
  func putBriefly(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool { throw refusal }
  func put(_ key: ObjectKey, content: any ObjectContent) throws(YesterError) -> Bool { throw refusal }
  func beginUpload() throws(YesterError) -> any ObjectUpload { throw refusal }
  func delete(_ key: ObjectKey) throws(YesterError) { throw refusal }
}
