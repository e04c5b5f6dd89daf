internal import ChunkCodec
internal import Glibc
package import Platform
internal import RepositoryFormat
package import RepositoryStore
internal import Synchronization

/// The whole of a mount: hosts, days, snapshots, and what `.yester` holds. It serves any number of threads, and keeps
/// no state for what was looked at, but for a few names outside of snapshots.
package final class Namespace: FileSystemModel {
  package struct Options: Sendable {
    /// Whose snapshots are shown; nil shows all hosts, a directory each.
    package var host: String?
    /// What `.yester/stats` and `.yester/health` say of the driver.
    package var requests: RequestCounts?
    package var driverVersion = ""
    package init(host: String? = System.hostName) { self.host = host }
  }

  struct View: Sendable {
    let reader: SnapshotReader
    let content: FileContentReader
    /// The entry that is the view's root.
    let root: UInt64
    /// The directory that the root's `..` leads to.
    let above: UInt64
  }

  struct State {
    var catalog: SnapshotCatalog
    var hosts: [String: HostView] = [:]
    var views: [UInt64: View] = [:]
    var viewNumbers: [String: UInt64] = [:]
    var readers: [ObjectID: SnapshotReader] = [:]
    var virtual: [UInt64: VirtualNode] = [:]
    var generated: [UInt64: GeneratedFile] = [:]
    /// `stats` and `health` as they were when their attributes were asked for, and when that was.
    var reports: [UInt64: (text: [UInt8], clock: Int64, errors: UInt64)] = [:]
    var nextDynamicView = NodeNumber.dynamicViews
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
  let readAhead: ReadAhead
  let lease: Lease?
  let started = Timestamp.now()

  /// Opens the catalog and takes a lease, so that nothing that is shown gets deleted. `log` gets one line an event.
  package init(_ repository: Repository, _ options: Options, log: @escaping @Sendable (String) -> Void) throws {
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
      Self.rebuild(&state, options)
      state.virtual[1] = options.host.map { .host($0) } ?? .top
    }
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
        .map { ($0, HostView(host: $0, state.catalog.snapshots)) })
    state.generated = [:]
    state.generation += 1
  }

  /// A record may name any text as its host.
  private static func isDirectoryName(_ name: String) -> Bool { Array(name.utf8).withUnsafeBytes { isValidName($0) } }

  package func refresh() throws(Errno) -> [[UInt8]] {
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
        state.catalog = next
        Self.rebuild(&state, options)
        return Self.changedNames(before, state.hosts, options)
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

  package func totals() -> FileSystemTotals {
    let snapshots = state.withLock { $0.catalog.snapshots }
    return FileSystemTotals(
      bytes: snapshots.reduce(0) { $0 &+ $1.record.counts.bytes },
      files: snapshots.reduce(0) { $0 &+ $1.record.counts.entries })
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

  // MARK: Views

  func reader(_ snapshot: CatalogedSnapshot) -> SnapshotReader {
    state.withLock { reader(snapshot, &$0) }
  }

  func reader(_ snapshot: CatalogedSnapshot, _ state: inout State) -> SnapshotReader {
    if let known = state.readers[snapshot.id] { return known }
    let reader = SnapshotReader(snapshot, tree: tree)
    state.readers[snapshot.id] = reader
    return reader
  }

  /// The view of a snapshot under a name of its own; `role` tells several views of one snapshot apart.
  func view(_ snapshot: CatalogedSnapshot, role: String, above: UInt64) -> UInt64 {
    state.withLock { state in
      let key = "\(role):\(snapshot.id.hex)"
      if let known = state.viewNumbers[key] { return known }
      let hash = SHA256.hash(Array(key.utf8)).w0
      var number = max(1, hash & (NodeNumber.dynamicViews - 1))
      // Two snapshots in some ten thousand share a number: then the later one takes the next.
      while state.views[number] != nil { number = max(1, (number + 1) & (NodeNumber.dynamicViews - 1)) }
      insert(number, key, reader(snapshot, &state), root: 0, above: above, &state)
      return number
    }
  }

  /// A view of a directory inside of a snapshot, as `.yester/versions` shows it.
  func view(_ reader: SnapshotReader, directory: UInt64, above: UInt64) -> UInt64 {
    state.withLock { state in
      let key = "version:\(reader.snapshot.id.hex):\(directory)"
      if let known = state.viewNumbers[key] { return known }
      let number = state.nextDynamicView
      state.nextDynamicView += 1
      insert(number, key, reader, root: directory, above: above, &state)
      return number
    }
  }

  private func insert(
    _ number: UInt64, _ key: String, _ reader: SnapshotReader, root: UInt64, above: UInt64, _ state: inout State
  ) {
    state.viewNumbers[key] = number
    state.views[number] = View(
      reader: reader, content: FileContentReader(tree: tree, keySet: reader.snapshot.keySet), root: root,
      above: above)
  }

  func entry(_ node: UInt64) throws -> (View, SnapshotNode) {
    guard let view = state.withLock({ $0.views[NodeNumber.view(node)] }) else { throw Errno.stale }
    guard let found = try view.reader.node(NodeNumber.number(node)) else { throw Errno.stale }
    return (view, found)
  }

  // MARK: Errors

  /// Turns every error into an errno; damage and trouble with the store are logged and show as EIO.
  func guarding<Value>(_ doing: String, _ body: () throws -> Value) throws(Errno) -> Value {
    do { return try body() } catch let error as Errno { throw error } catch let error as YesterError {
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
