internal import Glibc
package import Platform
package import Reporting
package import RepositoryCore
internal import RepositoryFormat
package import SnapshotTree
internal import Synchronization

/// The whole of a mount: hosts, days, snapshots, and what `.yester` holds. It serves any number of threads, and keeps
/// no state for what was looked at: the numbers of all nodes follow from the catalog.
package final class Namespace: FileSystemModel {
  package struct Options: Sendable {
    /// Whose snapshots are shown; nil shows all hosts, a directory each.
    package var host: String?
    /// What `.yester/stats` says of the driver.
    package var requests: RequestCounts?
    /// Lists each snapshot under its own name as well where its day alone would do.
    package var listsAllNames = false
    package init(host: String? = System.hostName) { self.host = host }
  }

  struct State {
    var catalog: SnapshotCatalog
    var hosts: [String: HostView] = [:]
    var table = ViewTable()
    /// Snapshots of the catalog as it is now.
    var present: Set<ObjectID> = []
    /// When snapshots were found to be removed, by `System.bootClock`.
    var removed: [ObjectID: Int64] = [:]
    var readers: [ObjectID: SnapshotReader] = [:]
    var virtual: [UInt64: VirtualNode] = [:]
    var virtualNumbers: [VirtualNode: UInt64] = [:]
    var generated: [UInt64: GeneratedFile] = [:]
    /// `stats` and `health` as they were when their attributes were asked for, and when that was.
    var reports: [UInt64: (text: [UInt8], clock: Int64, errors: UInt64)] = [:]
    var generation: UInt64 = 0
  }

  /// With more entries than this in all snapshots together, `backup_metadata.json` leaves the files out: it would
  /// take too long to look at `.yester`. `yester list --json --files` lists them.
  static let filesInMetadataMax: UInt64 = 500_000

  let repository: Repository
  let tree: TreeStore
  let options: Options
  let state: Mutex<State>
  let health: MountHealth
  let checksums = ChecksumList()
  let trails = CostCache<VersionKey, VersionTrail>(limit: 8 << 20)
  let windows = CostCache<NameWindow.Key, NameWindow>(limit: 4 << 20)
  let readAhead: ReadAhead
  let lease: Lease?
  let held = HeldViews()
  /// Tells the kernel of names; nil before the mount.
  let forgetter = Mutex<(@Sendable ([[UInt8]]) -> Void)?>(nil)
  let started = Timestamp.now()

  /// Opens the catalog and takes a lease, so that nothing that is in use gets deleted. `log` gets one line an event.
  package init(
    _ repository: Repository, _ options: Options, log: @escaping @Sendable (String) -> Void
  ) throws(YesterError) {
    try repository.requireFullKey("show snapshots")
    self.repository = repository
    self.options = options
    health = MountHealth(log)
    lease = try Lease.take(repository, .mount, isRequired: false)
    tree = TreeStore(reader: repository.reader)
    let catalog = try repository.readCatalog()
    readAhead = ReadAhead(cacheSize: repository.reader.cache.limit)
    state = Mutex(State(catalog: catalog))
    reportDamage(catalog, since: nil)
    state.withLock { state in
      state.virtual[1] = options.host.map { .host($0) } ?? .top
      Self.rebuild(&state, options)
    }
    lease?.setLettingGo { [weak self] in self?.letGo(of: $0) ?? $0.number }
  }

  /// Tells of records that cannot be used, each once.
  private func reportDamage(_ catalog: SnapshotCatalog, since old: SnapshotCatalog?) {
    let told = Set(old?.damaged.map(\.id) ?? [])
    for (id, error) in catalog.damaged where !told.contains(id) {
      health.error("The record snapshots/\(id) is unusable: \(error.message).")
    }
  }

  private static func rebuild(_ state: inout State, _ options: Options) {
    let names = Set(state.catalog.snapshots.map(\.record.host)).union(options.host.map { [$0] } ?? [])
    state.hosts = Dictionary(
      uniqueKeysWithValues: names.filter { options.host == nil ? isDirectoryName($0) : options.host == $0 }
        .map { ($0, HostView(host: $0, state.catalog.snapshots, listsAll: options.listsAllNames)) })
    state.present = Set(state.catalog.snapshots.map(\.id))
    // All hosts' snapshots have numbers, so that they do not depend on who is shown.
    for snapshot in state.catalog.snapshots { state.table.add(snapshot) }
    for host in state.hosts.keys.sorted() { state.hosts[host]?.unite(&state.table) }
    for host in state.hosts.keys.sorted() { state.hosts[host].map { number($0, &state) } }
    state.generated = [:]
    state.generation += 1
  }

  /// A record may name any text as its host.
  private static func isDirectoryName(_ name: String) -> Bool { Array(name.utf8).withUnsafeBytes { isValidName($0) } }

  package func refresh() throws(Errno) -> [[UInt8]] {
    let names = try takeInChanges()
    // Somebody reclaims space: he need not wait for the next renewal.
    if let lease, let list = try? repository.readCondemned(), list.number > lease.seen { lease.renewSoon() }
    return names
  }

  func takeInChanges() throws(Errno) -> [[UInt8]] {
    try guarding("Looking for new snapshots") {
      let old = state.withLock { $0.catalog }
      let next = try SnapshotCatalog(repository, reusing: old)
      reportDamage(next, since: old)
      guard next.snapshots.map(\.id) != old.snapshots.map(\.id) || next.notes.count != old.notes.count else {
        // The same for whoever looks; but what is damaged has been told.
        state.withLock { $0.catalog = next }
        return []
      }
      try repository.index.refresh()
      return state.withLock { state in
        let before = state.hosts
        let presentBefore = state.present
        state.catalog = next
        Self.rebuild(&state, options)
        let changed = Self.changedNames(before, state.hosts, options)
        // Versions of a path lead into snapshots: of removed ones the kernel is to keep nothing by these names either.
        let removed = presentBefore.subtracting(state.present)
        for id in removed { state.removed[id] = System.bootClock }
        return !removed.isEmpty && options.host != nil ? changed + [Array(".yester".utf8)] : changed
      }
    }
  }

  private static func changedNames(
    _ before: [String: HostView], _ after: [String: HostView], _ options: Options
  ) -> [[UInt8]] {
    guard let host = options.host else { return Set(before.keys).union(after.keys).map { Array($0.utf8) } }
    func meaning(_ view: HostView?) -> [String: [ObjectID]] {
      var out: [String: [ObjectID]] = [:]
      for (name, snapshot) in view?.snapshots ?? [] { out[name] = [snapshot.id] }
      for (name, members) in view?.days ?? [] { out[name] = members.map(\.id) }
      return out
    }
    let old = meaning(before[host])
    let new = meaning(after[host])
    let changed = Set(old.keys).union(new.keys).filter { old[$0] != new[$0] }
    return (changed + ["latest"]).map { Array($0.utf8) }
  }

  /// Says that the one host that is shown has no snapshots while others have some; nil otherwise.
  package var absence: YesterError? {
    let catalog = state.withLock { $0.catalog }
    guard let host = options.host, !catalog.snapshots.isEmpty else { return nil }
    return catalog.absence(ofHost: host, option: "-o host=")
  }

  package func close() {
    readAhead.close()
    lease?.release()
  }

  // MARK: Errors

  /// Turns every error into an errno; damage and trouble with the store are logged and show as EIO.
  func guarding<Value>(_ doing: String, _ body: () throws -> Value) throws(Errno) -> Value {
    do {
      return try body()
    } catch let error as Errno {
      throw error
    } catch let error as YesterError {
      health.error("\(doing): \(error.message).")
      throw .inputOutput
    } catch {
      health.error("\(doing): \(error).")
      throw .inputOutput
    }
  }
}

/// What went wrong since the mount began.
final class MountHealth: Sendable {
  private let log: @Sendable (String) -> Void
  private let recent = Mutex<(count: UInt64, last: [String])>((0, []))

  init(_ log: @escaping @Sendable (String) -> Void) { self.log = log }

  /// Counts it, and logs it unless the same was logged just before.
  func error(_ message: String) {
    let isNew = recent.withLock { state in
      state.count += 1
      let isNew = !state.last.contains(message)
      if isNew { state.last = Array((state.last + [message]).suffix(20)) }
      return isNew
    }
    if isNew { log(message) }
  }

  var errors: (count: UInt64, last: [String]) { recent.withLock { $0 } }
}
