internal import ChunkCodec
internal import Glibc
internal import ObjectStores
internal import Platform
package import Reporting
package import RepositoryFormat
internal import Synchronization

/// Says that a run is at work, so that nothing it may need is deleted. It renews itself until released.
///
/// A lease is put again under its next sequence number, then the one before is deleted: whoever watches sees the
/// number grow and needs no clock (docs/format.md, section 8.4).
package final class Lease: Sendable {
  package static let renewalSeconds = 300

  private struct State {
    var record: LeaseRecord
    var isReleased = false
    var isLost = false
  }
  private let repository: Repository
  private let monitor: Monitor<State>

  /// Takes a lease. With `isRequired` false, a read-only repository gives nil instead of an error.
  package static func take(
    _ repository: Repository, _ purpose: LeaseRecord.Purpose, isRequired: Bool = true
  ) throws(YesterError) -> Lease? {
    do throws(YesterError) {
      let lease = try Lease(repository, purpose)
      do throws(YesterError) {
        try lease.startRenewing()
      } catch {
        // A lease that nobody renews would protect nothing after a while.
        lease.release()
        throw error
      }
      return lease
    } catch {
      if !isRequired, let cause = error.cause, [.readOnly, .denied, .notPermitted].contains(cause) { return nil }
      throw error
    }
  }

  private init(_ repository: Repository, _ purpose: LeaseRecord.Purpose) throws(YesterError) {
    self.repository = repository
    let record = Self.record(System.random(16), purpose)
    monitor = Monitor(State(record: record))
    try Self.put(record, repository)
  }

  /// This process as the holder of a lease.
  fileprivate static func record(_ id: [UInt8], _ purpose: LeaseRecord.Purpose) -> LeaseRecord {
    let now = Timestamp.now()
    let process = System.processID
    return LeaseRecord(
      id: id, purpose: purpose, host: System.hostName, bootID: System.bootID, process: UInt64(process),
      processStart: System.startTime(ofProcess: process) ?? 0, sequence: 1, since: now, renewed: now)
  }

  /// What tells it from all others, those of the same process included. It stays the same through renewals.
  package var id: [UInt8] { monitor.withLock { $0.record.id } }

  /// The name of its object at present; nil when it is not held any more.
  package var name: String? {
    monitor.withLock { $0.isReleased || $0.isLost ? nil : Self.name($0.record) }
  }

  private static func put(_ record: LeaseRecord, _ repository: Repository) throws(YesterError) {
    try repository.store.putBriefly(.lease(name(record)), RecordSealing.seal(record, repository.keyring))
  }
  fileprivate static func name(_ record: LeaseRecord) -> String {
    let digits = String(record.sequence, radix: 16)
    return Hex.encode(record.id) + "-" + String(repeating: "0", count: 16 - digits.count) + digits
  }

  private func startRenewing() throws(YesterError) {
    _ = try Worker.started("yester-lease") { [weak self, monitor] in
      while true {
        let isDone: Bool? = monitor.wait(milliseconds: Self.renewalSeconds * 1000) { $0.isReleased ? true : nil }
        if isDone == true { return }
        guard let self else { return }
        self.renew()
      }
    }
  }

  private func renew() {
    monitor.withLock { state in
      guard !state.isReleased else { return }
      let old = Self.name(state.record)
      var next = state.record
      next.sequence += 1
      next.renewed = .now()
      do {
        // A lease that somebody took for dead and removed protects nothing any more.
        guard try repository.store.size(.lease(old)) != nil else {
          state.isLost = true
          return
        }
        try Self.put(next, repository)
        state.record = next
        try repository.store.delete(.lease(old))
      } catch {
        // The repository may be away for a while: the next renewal tries again.
      }
    }
  }

  /// Fails when the lease was removed by somebody who took this process for dead: what it relied on may be gone.
  package func requireHeld() throws(YesterError) {
    // Under the lock: a renewal in between would take the name away that is looked for.
    let isHeld = try monitor.withLock { (state) throws(YesterError) in
      guard !state.isLost else { return false }
      return try repository.store.size(.lease(Self.name(state.record))) != nil
    }
    guard isHeld else {
      throw YesterError(
        .busy, "Another run took this one for dead and may have reclaimed space that it builds on",
        advice: "Run the command again; what was stored is used again.")
    }
  }

  package func release() {
    let record: LeaseRecord? = monitor.update { state in
      if state.isReleased { return nil }
      state.isReleased = true
      return state.record
    }
    if let record { try? repository.store.delete(.lease(Self.name(record))) }
  }

  deinit { release() }
}

/// Who is at work in the repository.
package enum Leases {
  package struct Found: Sendable {
    package let name: String
    package let record: LeaseRecord
    /// The process is known to be gone: it ran here and does not any more.
    package let isDead: Bool
  }

  private static let looksMax = 100
  private static let leftoverNanoseconds: Int64 = 1_000_000_000

  /// All leases. Unreadable ones throw: nobody can say whom they protect.
  ///
  /// A renewal puts the new name before it takes the old one away, yet one look can miss both: the new one came after
  /// the names were read, the old one went before it was opened, or a listing that takes several reads passed by between
  /// them. So it is looked again until twice the same names are there, and all of them could be read.
  package static func list(_ repository: Repository) throws(YesterError) -> [Found] {
    var names = try names(repository)
    for _ in 0..<looksMax {
      let found = try read(names, repository)
      let now = try Self.names(repository)
      if now == names, let found { return found }
      names = now
    }
    throw YesterError(
      .busy, "Others come and go in the repository \(repository.store.location) faster than one can see who is there",
      advice: "Run the command again.")
  }

  private static func names(_ repository: Repository) throws(YesterError) -> [String] {
    var names: [String] = []
    try repository.store.list(.leases) { name, _ in names.append(name) }
    return names.sorted()
  }

  /// Nil when one of them is not there to be read.
  private static func read(_ names: [String], _ repository: Repository) throws(YesterError) -> [Found]? {
    var out: [String: Found] = [:]
    for name in names {
      guard let bytes = try repository.store.get(.lease(name), limit: Limits.leaseSizeMax) else { return nil }
      if isLeftover(bytes) { continue }
      let record: LeaseRecord
      do throws(FormatError) {
        record = try RecordSealing.openLease(bytes, repository.keyring)
      } catch {
        if error.kind == .needsOtherKey { throw YesterError.damaged("The lease \(name)", error) }
        throw YesterError(
          .damaged, "The lease \(name) is unusable: \(error.message)",
          advice: "If no other yester is at work on this repository, delete the file \"leases/\(name)\" in it.")
      }
      // While a lease is renewed there are two for a moment: the later name sorts last.
      out[Hex.encode(record.id)] = Found(name: name, record: record, isDead: isDead(record))
    }
    return out.values.sorted { $0.record.since < $1.record.since }
  }

  /// What a power failure leaves of a lease that had not reached the disk: a name with nothing in it.
  private static func isLeftover(_ bytes: [UInt8]) -> Bool { bytes.allSatisfy { $0 == 0 } }

  /// Only a process of this machine can be known to be gone, and only where process numbers mean the same; any other
  /// lease is taken at its word.
  private static func isDead(_ record: LeaseRecord) -> Bool {
    let theirs = record.bootID.split(separator: " ")
    let mine = System.bootID.split(separator: " ")
    guard record.host == System.hostName, theirs.count == 3, mine.count == 3, theirs[0] == mine[0] else { return false }
    if theirs[1] != mine[1] { return true }
    guard theirs[2] == mine[2] else { return false }
    // No process has a number beyond that.
    guard let process = Int32(exactly: record.process) else { return true }
    return System.isGone(process: process, startedAt: record.processStart)
  }

  /// Removes the leases of processes that are gone.
  package static func removeDead(_ repository: Repository) throws(YesterError) {
    for found in try list(repository) where found.isDead { try repository.store.delete(.lease(found.name)) }
    func leftovers(of names: [String]) throws(YesterError) -> [String] {
      var out: [String] = []
      for name in names {
        let bytes = try repository.store.get(.lease(name), limit: Limits.leaseSizeMax)
        if let bytes, isLeftover(bytes) { out.append(name) }
      }
      return out
    }
    var found = try leftovers(of: names(repository))
    if found.isEmpty { return }
    // It may be one that is just being made, where that takes two steps (`ObjectPlacing`): these follow on each other.
    System.sleep(nanoseconds: leftoverNanoseconds)
    found = try leftovers(of: found)
    for name in found { try repository.store.delete(.lease(name)) }
  }
}

/// The right to use a name, for the moment in which it is used: a lease whose id follows from the name, so that a
/// second one finds its place taken.
package struct NameClaim {
  private let store: any ObjectStore
  private let key: ObjectKey

  /// Nil when somebody who is alive has claimed the name.
  package static func take(_ repository: Repository, _ name: String) throws(YesterError) -> NameClaim? {
    let record = Lease.record(Array(SHA256.hash(Array("yester name 1/\(name)".utf8)).bytes.prefix(16)), .backup)
    let key = ObjectKey.lease(Lease.name(record))
    let bytes = RecordSealing.seal(record, repository.keyring)
    for _ in 0..<2 {
      if try repository.store.put(key, bytes) { return NameClaim(store: repository.store, key: key) }
      let leases = try Leases.list(repository)
      let isDead = leases.contains { $0.isDead && $0.record.id == record.id }
      guard isDead else { return nil }
      try repository.store.delete(key)
    }
    return nil
  }

  package func release() { try? store.delete(key) }
}
