internal import ChunkCodec
internal import ObjectStores
internal import Platform
package import Reporting
package import RepositoryFormat

/// Says that a run is at work, and up to which list of condemned packs it has let go of what these condemn. It renews
/// itself until released.
///
/// A lease is one object under one name, which its holder alone replaces. It asks whoever reclaims space to wait; that
/// nothing is lost does not hang on it (docs/decisions/0020-reclaiming.md). So one that was removed, or could not be
/// renewed, is no reason to end a run: the next renewal puts it again.
package final class Lease: Sendable {
  package static let renewalSeconds = 300
  /// For a list of condemned packs: the number of the last list of whose packs the holder uses none any more.
  package typealias LettingGo = @Sendable (CondemnedList) -> UInt64

  private struct State {
    var record: LeaseRecord
    var isReleased = false
    /// To be renewed at once.
    var isDue = false
    var lettingGo: LettingGo?
  }
  private let repository: Repository
  private let uses: PackUses?
  private let monitor: Monitor<State>

  /// Takes a lease. `lettingGo` is asked at each renewal, on a thread of its own; without it the holder lets go of nothing
  /// that is condemned later, but of what is not in `uses`. With `isRequired` false, a repository that is read-only or
  /// full gives nil instead of an error.
  package static func take(
    _ repository: Repository, _ purpose: LeaseRecord.Purpose, isRequired: Bool = true, uses: PackUses? = nil,
    lettingGo: LettingGo? = nil
  ) throws(YesterError) -> Lease? {
    do throws(YesterError) {
      var lettingGo = lettingGo
      if let uses, lettingGo == nil { lettingGo = { uses.letGo(of: $0) } }
      let lease = try Lease(repository, purpose, uses, lettingGo)
      do throws(YesterError) {
        try lease.startRenewing()
      } catch {
        // A lease that nobody renews would be waited for without need.
        lease.release()
        throw error
      }
      return lease
    } catch {
      let writesNothing: [Errno] = [.readOnly, .denied, .notPermitted, .noSpace, .overQuota]
      if !isRequired, let cause = error.cause, writesNothing.contains(cause) { return nil }
      throw error
    }
  }

  private init(
    _ repository: Repository, _ purpose: LeaseRecord.Purpose, _ uses: PackUses?, _ lettingGo: LettingGo?
  ) throws(YesterError) {
    self.repository = repository
    self.uses = uses
    var record = Self.record(System.random(16), purpose)
    // What is condemned already is not built on.
    record.seen = try repository.readCondemned().number
    monitor = Monitor(State(record: record, lettingGo: lettingGo))
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

  /// What tells it from all others, those of the same process included.
  package var id: [UInt8] { monitor.withLock { $0.record.id } }

  /// The name of its object; nil when it was released.
  package var name: String? { monitor.withLock { $0.isReleased ? nil : Hex.encode($0.record.id) } }

  private static func put(_ record: LeaseRecord, _ repository: Repository) throws(YesterError) {
    try repository.store.replace(.lease(Hex.encode(record.id)), RecordSealing.seal(record, repository.keyring))
  }

  private func startRenewing() throws(YesterError) {
    _ = try Worker.started("yester-lease") { [weak self, monitor] in
      while true {
        let isDone: Bool? = monitor.wait(milliseconds: Self.renewalSeconds * 1000) { state in
          if state.isReleased { return true }
          guard state.isDue else { return nil }
          state.isDue = false
          return false
        }
        if isDone == true { return }
        guard let self else { return }
        // The repository may be away for a while: the next renewal tries again.
        try? self.renew()
      }
    }
  }

  /// Reads which packs are condemned, lets go of them as far as may be, and says so.
  package func renew() throws(YesterError) {
    let list = try repository.readCondemned()
    let lettingGo = monitor.withLock { $0.lettingGo }
    let seen = lettingGo?(list) ?? 0
    try replace { $0.seen = max($0.seen, seen) }
  }

  /// Has the lease's own thread renew it now.
  package func renewSoon() { monitor.update { $0.isDue = true } }

  /// For a holder that comes to be after its lease.
  package func setLettingGo(_ lettingGo: @escaping LettingGo) { monitor.withLock { $0.lettingGo = lettingGo } }

  /// The number of the last list of whose packs nothing is used any more, as the lease says.
  package var seen: UInt64 { monitor.withLock { $0.record.seen } }

  /// Says which record is about to be stored. Until the lease says otherwise or is released, others take that for
  /// unproven.
  package func announce(_ snapshot: ObjectID?) throws(YesterError) { try replace { $0.snapshot = snapshot } }

  private func replace(_ change: (inout LeaseRecord) -> Void) throws(YesterError) {
    try monitor.withLock { (state) throws(YesterError) in
      guard !state.isReleased else { return }
      var next = state.record
      next.sequence += 1
      next.renewed = .now()
      if let uses { next.packs = uses.prefixes }
      change(&next)
      try Self.put(next, repository)
      state.record = next
    }
  }

  package func release() {
    let record = end()
    if let record { try? repository.store.delete(.lease(Hex.encode(record.id))) }
  }

  /// Renews it no more and leaves it there: what it says of a snapshot stays true.
  package func abandon() { _ = end() }

  private func end() -> LeaseRecord? {
    monitor.update { state in
      if state.isReleased { return nil }
      state.isReleased = true
      return state.record
    }
  }

  deinit { release() }
}

/// The right to use a name, for the moment in which it is used: a lease whose id follows from the name, so that a
/// second one finds its place taken.
package struct NameClaim {
  private let store: any ObjectStore
  private let key: ObjectKey

  /// Nil when somebody who may be alive has claimed the name.
  package static func take(_ repository: Repository, _ name: String) throws(YesterError) -> NameClaim? {
    let record = Lease.record(Array(SHA256.hash(Array("yester name 1/\(name)".utf8)).bytes.prefix(16)), .name)
    let key = ObjectKey.lease(Hex.encode(record.id))
    let bytes = RecordSealing.seal(record, repository.keyring)
    for _ in 0..<2 {
      if try repository.store.putBriefly(key, bytes) { return NameClaim(store: repository.store, key: key) }
      guard try Leases.find(Hex.encode(record.id), repository)?.isDead ?? true else { return nil }
      try repository.store.delete(key)
    }
    return nil
  }

  package func release() { try? store.delete(key) }
}
