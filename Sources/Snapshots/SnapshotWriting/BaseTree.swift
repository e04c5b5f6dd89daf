internal import ChunkCodec
internal import Platform
internal import Reporting
package import RepositoryCore
package import RepositoryFormat
package import SnapshotTree
internal import Synchronization

/// The snapshot that a new one is compared with.
package final class BaseTree: Sendable {
  package let snapshot: CatalogedSnapshot
  package let reader: SnapshotReader
  /// Unchanged files are taken over without reading them.
  package let reusesContent: Bool
  private let content: FileContentReader
  private let source: any ChunkSource
  private let index: ChunkIndex
  private let broken = Mutex(Broken())

  /// What could not be read of it.
  private struct Broken {
    var listings: Set<ObjectID> = []
    var first: YesterError?
  }
  private let uses: PackUses

  private init(
    _ snapshot: CatalogedSnapshot, reusesContent: Bool, source: any ChunkSource, index: ChunkIndex, uses: PackUses
  ) {
    let tree = TreeStore(reader: source)
    self.snapshot = snapshot
    self.reusesContent = reusesContent
    self.source = source
    self.index = index
    self.uses = uses
    reader = SnapshotReader(snapshot, tree: tree)
    content = FileContentReader(tree: tree, keySet: snapshot.keySet)
  }

  /// Nil when there is none to compare with: the first of its host and plan, or one that this key cannot read.
  /// `uses` is told of packs that `isStored` has found to hold what is taken over, `unreadable` of one that should be readable.
  package static func choose(
    _ repository: Repository, _ catalog: SnapshotCatalog, _ options: SnapshotOptions, sources: [[UInt8]],
    uses: PackUses = PackUses(), unreadable: (String) throws -> Void
  ) rethrows -> BaseTree? {
    let candidates = catalog.snapshots.filter {
      $0.record.host == options.host && $0.record.plan == options.plan && $0.record.kind != .restorePoint
        && !$0.isUnproven
    }
    let suitable = options.type == .differential ? candidates.filter { $0.record.type == .full } : candidates
    let chosen = suitable.last { $0.record.sources == sources } ?? suitable.last
    guard let chosen else { return nil }
    let source: any ChunkSource
    if repository.keyring.role == .full {
      source = repository.reader
    } else {
      let path = LocalListings.path(repository, host: options.host, plan: options.plan)
      guard let local = LocalListings.Source(repository, path: path) else { return nil }
      source = local
    }
    let base = BaseTree(
      chosen, reusesContent: options.type != .full && chosen.keySet == repository.keyring.current.id,
      source: source, index: repository.index, uses: uses)
    do {
      try base.reader.forEachChild(of: base.reader.root) { _, _ in false }
    } catch {
      // A copy that does not hold this snapshot's listings is of no use.
      if repository.keyring.role == .full { try unreadable(base.words(for: error, "all of its files")) }
      return nil
    }
    return base
  }

  /// The child of a directory of the base; nil also where the base is damaged: then all is read again, which heals it,
  /// and `damage` tells.
  package func child(_ name: [UInt8], of directory: SnapshotNode?) -> SnapshotNode? {
    guard let directory, case .directory(_, let listing) = directory.entry.body,
      !broken.withLock({ $0.listings.contains(listing) })
    else { return nil }
    do {
      return try name.withUnsafeBytes { try reader.child($0, of: directory, isRemembered: false) }
    } catch {
      remember(error, listing)
      return nil
    }
  }

  private func remember(_ error: any Error, _ listing: ObjectID) {
    broken.withLock { broken in
      broken.listings.insert(listing)
      if broken.first == nil { broken.first = error as? YesterError }
    }
  }

  /// What could not be read of it, in words; nil when all could.
  package var damage: String? {
    let (count, first) = broken.withLock { ($0.listings.count, $0.first) }
    guard count > 0 else { return nil }
    return words(for: first, count == 1 ? "the files of one of its listings" : "the files of \(count) of its listings")
  }

  private func words(for error: (any Error)?, _ what: String) -> String {
    let reason = (error as? YesterError).map { " (\($0.message))" } ?? ""
    return "the snapshot \(snapshot.record.name), with which this one was compared, cannot be read in full\(reason); "
      + "\(what) were read again. Run \"yester verify\" to see what is damaged, and what to do"
  }

  /// Whether a change after the file was read for the base must show in its times: not when that could have been in
  /// the very tick of the clock that they are of.
  package func showsChanges(_ entry: Entry) -> Bool {
    // File systems that keep whole seconds, or two of them, have coarser ticks.
    let tick: UInt32 = entry.changed.nanoseconds == 0 ? 2_000_000_000 : 10_000_000
    let record = snapshot.record
    return entry.changed < record.start.earlier(byNanoseconds: tick) || entry.changed > record.end
  }

  /// Whether all that a file needs is still stored: a lost chunk comes back by reading the file again.
  package func isStored(_ entry: Entry) -> Bool {
    guard case .file(let size, let file) = entry.body else { return true }
    // Taking a file over is building on its chunks: they must be where new snapshots may build on.
    func isThere(_ id: ObjectID) throws -> Bool {
      guard let place = try index.findReusable(id) else { return false }
      uses.add(place.pack)
      return true
    }
    func areThere(_ lists: [ContentListReference]) throws -> Bool {
      for reference in lists {
        guard try isThere(reference.list), !broken.withLock({ $0.listings.contains(reference.list) }) else {
          return false
        }
        guard case .lists(_, let inner) = try reader.tree.contentList(reference.list, covering: reference.length) else {
          continue
        }
        guard try areThere(inner) else { return false }
      }
      return true
    }
    do {
      var isComplete = true
      if case .lists(_, let lists) = file { isComplete = try areThere(lists) }
      guard isComplete else { return false }
      try content.forEachPiece(of: file, size: size, from: 0) { _, piece in
        if let chunk = piece.chunk { isComplete = try isThere(chunk) }
        return isComplete
      }
      return isComplete
    } catch {
      if case .lists(_, let lists) = file, let list = lists.first?.list { remember(error, list) }
      return false
    }
  }

  /// Calls `body` with each content list of a file.
  package func forEachList(of file: FileContent, _ body: (ObjectID, UnsafeRawBufferPointer) throws -> Void) throws {
    guard case .lists(_, var open) = file else { return }
    var seen: Set<ObjectID> = []
    while let reference = open.popLast() {
      guard seen.insert(reference.list).inserted else { continue }
      let slice = try source.chunk(reference.list, kind: .tree)
      try withExtendedLifetime(slice) {
        try body(reference.list, slice.raw)
        if case .lists(_, let inner) = try ContentList(decoding: slice.raw, covering: reference.length) {
          open += inner
        }
      }
    }
  }
}
