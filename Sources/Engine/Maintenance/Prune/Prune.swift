internal import ObjectStores
internal import ChunkCodec
package import Platform
package import Reporting
package import RepositoryCore
package import RepositoryFormat
internal import SnapshotTree

/// Gives back the space of what no snapshot needs, while others go on working.
///
/// 1. *Mark* what all snapshots need.
/// 2. Copy what is needed out of packs that are mostly unneeded.
/// 3. *Condemn* the packs that nobody needs: from now on no writer builds on them. They stay readable.
/// 4. *Delete* condemned packs when no backup is under way: whoever could have built on them before has ended.
///    Snapshots that were finished meanwhile are marked first, and what they use is pardoned.
///
/// A writer that takes its lease after step 4 has looked for leases reads the index after that, and with it the
/// condemnation. One that took it before either still holds it, and then nothing is deleted, or has ended, and then its
/// snapshot is seen. So nothing that a snapshot needs can go, whatever the order of events and the clocks.
package enum Prune {
  package struct Options: Sendable {
    /// How much of the stored data may be unneeded before packs are rewritten, 0 to 1.
    package var unusedMax = 0.05
    package var isDryRun = false
    /// Snapshots that are about to be removed: what only they need counts as unneeded. Only for a dry run.
    package var without: Set<ObjectID> = []
    /// Go on although records of snapshots are missing, and sign that they count as removed.
    package var acceptsMissingSnapshots = false
    package init() {}
  }
  package struct Result: Sendable {
    package var packsBefore = 0
    package var bytesBefore: UInt64 = 0
    package var packsRewritten = 0
    package var packsCondemned = 0
    package var packsDeleted = 0
    package var bytesFreed: UInt64 = 0
    /// Packs that wait for others to end, and who these are.
    package var packsWaiting = 0
    package var waitingFor: [String] = []
  }
  /// Packs below this size are gathered into larger ones when there are many of them.
  private static let smallPackSize: UInt64 = 4 << 20
  private static let smallPacksMax = 24
  /// Clocks may differ, or jump, by this much without harm to readers.
  private static let clockSkewSeconds: Int64 = 3600

  /// `clock` tells the moment of condemnation.
  package static func run(
    _ repository: Repository, _ options: Options, progress: RunProgress, clock: () -> Timestamp = { .now() }
  ) throws -> Result {
    try repository.requireFullKey("reclaim space")
    if options.isDryRun { return try PruneRun(repository, options, progress, lease: nil).plan() }
    try Leases.removeDead(repository)
    let lease = try Lease.take(repository, .reclaim)
    defer { lease?.release() }
    if let other = try others(than: lease, in: repository).first(where: { $0.record.purpose == .reclaim }) {
      throw YesterError(
        .busy, "Space is being reclaimed already, by process \(other.record.process) on \(other.record.host)",
        advice: "Wait until that run is done.")
    }
    return try PruneRun(repository, options, progress, lease: lease).run(clock)
  }

  /// Everybody alive who is at work beside the run that holds `lease`. Another run of this very process is a stranger,
  /// too: what counts is whose lease it is, not whose process.
  private static func others(than lease: Lease?, in repository: Repository) throws -> [Leases.Found] {
    let own = lease?.id
    return try Leases.list(repository).filter { !$0.isDead && $0.record.id != own }
  }

  private final class PruneRun {
    private let repository: Repository
    private let options: Options
    private let progress: RunProgress
    /// This run's own; nil for a dry run.
    private let lease: Lease?
    private let catalog: SnapshotCatalog
    private let usage: UsageMap
    private let tree: TreeStore
    private var result = Result()
    /// As this run has read, and then written it.
    private var condemned: CondemnedList
    /// Packs that an earlier run condemned.
    private var condemnedBefore: Set<ObjectID> = []

    init(_ repository: Repository, _ options: Options, _ progress: RunProgress, lease: Lease?) throws {
      self.repository = repository
      self.options = options
      self.progress = progress
      self.lease = lease
      tree = TreeStore(reader: repository.reader)
      // The catalog before the index: see `readCatalog`. What is deleted follows from the index, so that it is read
      // from the repository, not from a local copy.
      catalog = try PruneRun.completeCatalog(repository, options)
      try repository.index.rebuildCache()
      try repository.index.requireWhole()
      condemned = try repository.readCondemned()
      _ = try repository.index.avoidMissingPacks()
      usage = UsageMap(repository.index)
      let needed = catalog.snapshots.filter { !options.without.contains($0.id) }
      var total = WalkTotal(needed)
      progress.begin(.mark, entries: total.entries, bytes: 0)
      for snapshot in needed {
        total.didWalk(entries: try usage.mark(SnapshotReader(snapshot, tree: tree), progress))
        progress.setTotals(entries: total.entries, bytes: 0)
      }
    }

    /// The catalog; a snapshot that is out of sight may need anything, so that nothing may be deleted.
    private static func completeCatalog(_ repository: Repository, _ options: Options) throws -> SnapshotCatalog {
      try repository.requireCurrentKeys()
      let accepting = options.acceptsMissingSnapshots
      let catalog = try MissingSnapshots.completeCatalog(repository, accepting: accepting)
      if !accepting { try MissingSnapshots.requireSnapshots(catalog, repository) }
      return catalog
    }

    func plan() throws -> Result {
      let packs = try usage.packs()
      count(packs)
      let dead = packs.values.filter { $0.used == 0 && condemned.packs[$0.pack.id] == nil }
      result.packsCondemned = dead.count
      result.bytesFreed = dead.reduce(0) { $0 + $1.pack.size }
      result.packsRewritten = worthRewriting(packs).count
      return result
    }

    func run(_ clock: () -> Timestamp) throws -> Result {
      if options.acceptsMissingSnapshots { try MissingSnapshots.accept(catalog, repository) }
      let packs = try usage.packs()
      count(packs)
      let rewritten = worthRewriting(packs)
      // A chunk may lie in two packs of which the marking chose one. The other one may go in this very run, so that
      // nothing that is copied now may rely on it.
      try rewrite(
        rewritten, avoiding: packs.values.filter { $0.used == 0 }.map(\.pack.id),
        bytes: rewritten.reduce(0) { $0 + (packs[$1]?.used ?? 0) })
      let known = condemned.packs
      condemnedBefore = Set(known.keys)
      let dead = packs.values.filter { $0.used == 0 }.map(\.pack.id) + rewritten
      let fresh = dead.filter { known[$0] == nil }
      try condemn(fresh, clock)
      result.packsCondemned = fresh.count
      result.packsRewritten = rewritten.count
      try deleteCondemned(packs)
      try deleteOrphans()
      return result
    }

    private func count(_ packs: [ObjectID: UsageMap.PackUse]) {
      result.packsBefore = packs.count
      result.bytesBefore = packs.values.reduce(0) { $0 + $1.pack.size }
    }

    /// The packs with the largest unneeded share first, until the rest is within the limit; and many small packs.
    private func worthRewriting(_ packs: [ObjectID: UsageMap.PackUse]) -> [ObjectID] {
      let live = packs.values.filter { $0.used > 0 && $0.isPresent && condemned.packs[$0.pack.id] == nil }
      var unused = live.reduce(0) { $0 + $1.unused }
      let allowed = UInt64(Double(live.reduce(0) { $0 + $1.total }) * options.unusedMax)
      var out: [ObjectID] = []
      for use in live.sorted(by: { Double($0.used) / Double($0.total) < Double($1.used) / Double($1.total) })
      where unused > allowed && use.unused * 10 > use.total {
        unused -= use.unused
        out.append(use.pack.id)
      }
      for kind in [ChunkKind.data, .tree] {
        let small = live.filter {
          $0.pack.kind == kind && $0.pack.size < Prune.smallPackSize && !out.contains($0.pack.id)
        }
        if small.count > Prune.smallPacksMax { out += small.map(\.pack.id) }
      }
      return out.sorted()
    }

    /// Copies what is needed into new packs; every chunk is verified against its id on the way.
    private func rewrite(_ packs: [ObjectID], avoiding dead: [ObjectID], bytes: UInt64) throws {
      guard !packs.isEmpty else { return }
      repository.index.avoid(packs + dead)
      let writer = try ChunkWriter(repository)
      defer { writer.close() }
      progress.begin(.copy, entries: 0, bytes: bytes)
      var wanted = Set(packs)
      for segment in repository.index.current.segments {
        for index in 0..<segment.packCount {
          let pack = try segment.pack(index)
          guard wanted.remove(pack.id) != nil else { continue }
          try copy(pack.id, into: writer)
        }
      }
      try writer.flush()
    }

    private func copy(_ pack: ObjectID, into writer: ChunkWriter) throws {
      let file = try PackFile(repository, pack)
      let kind = file.key.key.kind
      var known: Set<ObjectID> = []
      for block in file.blocks {
        try progress.throwIfStopped()
        let needed = try block.chunks.filter { try known.insert($0.id).inserted && usage.isUsed($0.id) }
        guard !needed.isEmpty else { continue }
        let wanted = Set(needed.map(\.id))
        var copied: Set<ObjectID> = []
        let plain = try orDamage { () throws(YesterError) in
          try repository.reader.load(pack, block.location, file.key.key)
        }
        if let plain {
          try block.forEachChunk(in: plain) { chunk, bytes in
            guard wanted.contains(chunk.id), !copied.contains(chunk.id),
              repository.reader.identify(bytes, kind: kind, file.key.keySet.id) == chunk.id
            else { return }
            try writer.add(chunk.id, kind: kind, bytes)
            copied.insert(chunk.id)
            progress.add(bytes: UInt64(chunk.length))
          }
        }
        // What is damaged here, or was garbage from the beginning, may be sound elsewhere; if not, nothing may go.
        for chunk in needed where !copied.contains(chunk.id) {
          let slice = try repository.reader.chunk(chunk.id, kind: kind)
          _ = try slice.withBytes { try writer.add(chunk.id, kind: kind, $0) }
        }
        // A small block was kept apart from the next one for a reason.
        let settings = ChunkWriter.Settings()
        let full = kind == .data ? settings.dataBlockSize : settings.treeBlockSize
        if block.location.plainLength < full / 2 { try writer.separate() }
      }
    }

    /// Nil for what is damaged.
    private func orDamage<Value>(_ body: () throws(YesterError) -> Value) throws(YesterError) -> Value? {
      do throws(YesterError) {
        return try body()
      } catch {
        guard error.code == .damaged else { throw error }
        return nil
      }
    }

    private func condemn(_ packs: [ObjectID], _ clock: () -> Timestamp) throws {
      guard !packs.isEmpty else { return }
      let now = clock().seconds
      var list = condemned
      // More than fit into a list have to wait for the next run.
      for pack in packs.prefix(max(0, Limits.condemnedPacksMax - list.packs.count)) {
        list.packs[pack] = CondemnedList.Condemnation(list: 0, since: now)
      }
      try store(list)
      try repository.index.refresh()
    }

    private func store(_ list: CondemnedList) throws {
      try repository.storeCondemned(list, after: condemned)
      condemned = repository.index.current.condemned
    }

    // MARK: Deleting

    private func deleteCondemned(_ packs: [ObjectID: UsageMap.PackUse]) throws {
      let condemned = self.condemned.packs
      guard !condemned.isEmpty else { return }
      let others = try Prune.others(than: lease, in: repository)
      var ripe: Set<ObjectID> = []
      for (pack, condemnation) in condemned {
        // Whoever writes holds everything up: clocks may jump, and it must not matter when it began. Readers matter
        // only when they may have seen the pack's snapshots, and lose nothing else.
        let blocking = others.filter { other in
          let (began, _) = other.record.since.seconds.subtractingReportingOverflow(Prune.clockSkewSeconds)
          return other.record.purpose == .backup || began <= condemnation.since
        }
        if blocking.isEmpty { ripe.insert(pack) }
        for other in blocking {
          let text = "\(other.record.purpose) on \(other.record.host) (process \(other.record.process))"
          if !result.waitingFor.contains(text) { result.waitingFor.append(text) }
        }
      }
      result.packsWaiting = condemned.count - ripe.count
      let pardoned = try pardon(condemned, packs)
      ripe.subtract(pardoned)
      guard !ripe.isEmpty || !pardoned.isEmpty else { return }
      if !ripe.isEmpty { try rewriteIndex(dropping: ripe) }
      progress.begin(.delete, entries: UInt64(ripe.count), bytes: 0)
      for pack in ripe.sorted() {
        progress.add(entries: 1)
        try repository.store.delete(.pack(pack))
        result.packsDeleted += 1
        result.bytesFreed += packs[pack]?.pack.size ?? 0
      }
      // A pack stays in the list for as long as it is there.
      var list = self.condemned
      list.packs = list.packs.filter { !ripe.contains($0.key) && !pardoned.contains($0.key) }
      try store(list)
    }

    /// Condemned packs that a snapshot needs after all: it was finished after the condemnation, by a writer who had
    /// begun before. It was seen by this run's marking, or has come since.
    private func pardon(
      _ condemned: [ObjectID: CondemnedList.Condemnation], _ packs: [ObjectID: UsageMap.PackUse]
    ) throws -> Set<ObjectID> {
      let marked = condemnedBefore.filter { (packs[$0]?.used ?? 0) > 0 }
      let now = try PruneRun.completeCatalog(repository, options)
      try repository.index.refresh()
      let fresh = UsageMap(repository.index)
      for snapshot in now.snapshots where !usage.markedSnapshots.contains(snapshot.id) {
        try fresh.mark(SnapshotReader(snapshot, tree: tree), progress)
      }
      let late = try fresh.packs().values.filter { $0.used > 0 && condemned[$0.pack.id] != nil }.map(\.pack.id)
      return marked.union(late)
    }

    /// Replaces the segments that name dropped packs. The new ones are there before the old ones go.
    private func rewriteIndex(dropping dropped: Set<ObjectID>) throws {
      var affected: [IndexSegment] = []
      for segment in repository.index.current.segments {
        let namesDropped = try (0..<segment.packCount).contains { dropped.contains(try segment.pack($0).id) }
        let isStrangers = !repository.keyring.believes(segment.writer)
        if namesDropped || isStrangers || segment.chunkCount < 1000 { affected.append(segment) }
      }
      try repository.replaceIndexSegments(affected) { !dropped.contains($0) }
    }

    /// Packs that no index knows were left by interrupted runs. The order matters: first the packs are listed, then it
    /// is seen that nobody is at work, then the index is read. So the run that stored one of these packs has ended, and
    /// if it did so properly, the index tells.
    private func deleteOrphans() throws {
      var stored: [(ObjectID, UInt64)] = []
      try repository.store.list(.packs) { name, size in if let id = ObjectID(hex: name) { stored.append((id, size)) } }
      guard try isAloneAmongWriters() else { return }
      let segments = try repository.store.ids(.index)
      try repository.index.refresh()
      var known: Set<ObjectID> = []
      for segment in repository.index.current.segments {
        for index in 0..<segment.packCount { known.insert(try segment.pack(index).id) }
      }
      let orphans = stored.filter { !known.contains($0.0) }
      // A backup that came and went meanwhile may have replaced segments while they were being listed, and a list is
      // not made in one moment: what is deleted must be unknown to an index at rest.
      let isAtRest = try repository.store.ids(.index) == segments && isAloneAmongWriters()
      guard isAtRest else { return }
      progress.begin(.delete, entries: UInt64(orphans.count), bytes: 0)
      for (id, size) in orphans {
        progress.add(entries: 1)
        try repository.store.delete(.pack(id))
        result.packsDeleted += 1
        result.bytesFreed += size
      }
      try repository.store.removeAbandonedUploads()
    }

    private func isAloneAmongWriters() throws -> Bool {
      try Prune.others(than: lease, in: repository)
        .allSatisfy { $0.record.purpose == .mount || $0.record.purpose == .read }
    }
  }
}
