internal import ObjectStores
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat
internal import SnapshotTree

/// One run of `Prune`: what is needed, what goes, and in which order.
final class PruneRun {
  private let repository: Repository
  private let options: Prune.Options
  private let progress: RunProgress
  /// This run's own; nil for a dry run, and where there was no room for one.
  private let lease: Lease?
  /// Seconds since 1970.
  private let now: Int64
  private let tree: TreeStore
  private let catalog: SnapshotCatalog
  private let usage: UsageMap
  private let packs: [ObjectID: UsageMap.PackUse]
  /// Packs in the repository.
  private let stored: Set<ObjectID>
  private var announced: AnnouncedSnapshots
  /// As this run has read, and then written it.
  private var condemned: CondemnedList
  /// The number of the last list that could be seen before the snapshots were listed.
  private var listBeforeLook: UInt64
  /// Packs that snapshots need which came since the marking.
  private var neededSince: Set<ObjectID> = []
  /// Packs of which all that is needed was copied.
  private var copied: Set<ObjectID> = []
  /// Packs that no index knows, and that this run has condemned: the next one deletes them, whatever the minimum age.
  private var orphans: Set<ObjectID> = []
  /// Condemned packs that are not there any more, and that no index names.
  private var gone: Set<ObjectID> = []
  private var result = Prune.Result()

  init(
    _ repository: Repository, _ options: Prune.Options, _ progress: RunProgress, lease: Lease?, now: Int64
  ) throws {
    self.repository = repository
    self.options = options
    self.progress = progress
    self.lease = lease
    self.now = now
    tree = TreeStore(reader: repository.reader)
    // In this order: the condemnation of a pack that goes could be seen before the snapshots are listed that may need it.
    condemned = try repository.readCondemned()
    listBeforeLook = condemned.number
    // The catalog before the index: see `readCatalog`. What is deleted follows from the index, so that it is read
    // from the repository, not from a local copy.
    let catalog = try Self.completeCatalog(repository, options)
    var announced = try AnnouncedSnapshots(than: lease?.id, in: repository, condemned, now: now)
    try repository.index.rebuildCache()
    try repository.index.requireWhole()
    stored = Set(try repository.store.ids(.packs))
    _ = try repository.index.avoidMissingPacks()
    let usage = UsageMap(repository.index)
    var takenBack: [String] = []
    let needed = catalog.snapshots.filter { !options.without.contains($0.id) }
    var total = WalkTotal(needed)
    progress.begin(.mark, entries: total.entries, bytes: 0)
    for snapshot in needed {
      let reader = SnapshotReader(snapshot, tree: tree)
      let entries = try announced.mark(
        reader, repository, mayWrite: !options.isDryRun, takenBack: { takenBack.append($0) }
      ) { try usage.mark(reader, progress) }
      total.didWalk(entries: entries ?? 0)
      progress.setTotals(entries: total.entries, bytes: 0)
    }
    (self.catalog, self.usage, self.announced) = (catalog, usage, announced)
    packs = try usage.packs()
    result.snapshotsTakenBack = takenBack
    result.packsBefore = packs.count
    result.bytesBefore = packs.values.reduce(0) { $0 + $1.pack.size }
  }

  /// The catalog; a snapshot that is out of sight may need anything, so that nothing may be deleted.
  private static func completeCatalog(_ repository: Repository, _ options: Prune.Options) throws -> SnapshotCatalog {
    try repository.requireCurrentKeys()
    let accepting = options.acceptsMissingSnapshots
    let catalog = try MissingSnapshots.completeCatalog(repository, accepting: accepting)
    if !accepting { try MissingSnapshots.requireSnapshots(catalog, repository) }
    return catalog
  }

  func plan() throws -> Prune.Result {
    let dead = packs.values.filter { $0.used == 0 && condemned.packs[$0.pack.id] == nil }
    result.packsCondemned = dead.count
    result.bytesFreed = dead.reduce(0) { $0 + $1.pack.size }
    result.packsRewritten = packsToCopy().count
    return result
  }

  func run() throws -> Prune.Result {
    if options.acceptsMissingSnapshots { try MissingSnapshots.accept(catalog, repository) }
    // What is due goes before anything is written: there may be no room.
    try deleteDue()
    let dead = packs.values.filter { $0.used == 0 }.map(\.pack.id)
    let orphans = try findOrphans()
    self.orphans = Set(orphans.filter { condemned.packs[$0] == nil })
    let inUse = try others().packsInUse
    try condemn(dead.filter { !inUse.contains($0.w0) } + orphans)
    try deleteAtOnce()
    let chosen = packsToCopy()
    if !chosen.isEmpty {
      try copy(chosen, avoiding: dead)
      try condemn(chosen)
      try deleteAtOnce()
    }
    try announced.finish(repository)
    try tellOfWaiting()
    try repository.store.removeAbandonedUploads()
    return result
  }

  // MARK: Copying

  /// Condemned packs of which something is needed after all, and what `RewriteChoice` takes.
  private func packsToCopy() -> [ObjectID] {
    let isCondemned = condemned.packs
    let present = packs.values.filter { $0.used > 0 && $0.isPresent }
    let needed = present.filter { isCondemned[$0.pack.id] != nil }
    let live = present.filter { isCondemned[$0.pack.id] == nil }
    return (needed.map(\.pack.id) + RewriteChoice.packs(among: live, unusedMax: options.unusedMax)).sorted()
  }

  private func copy(_ chosen: [ObjectID], avoiding dead: [ObjectID]) throws {
    progress.begin(.copy, entries: 0, bytes: chosen.reduce(0) { $0 + (packs[$1]?.used ?? 0) })
    try PackRewrite(repository, usage, progress).run(chosen, avoiding: dead)
    copied.formUnion(chosen)
    result.packsRewritten += chosen.count
  }

  // MARK: Condemning

  /// Stores the next list: with these packs, without those that are gone, and with the leases that hold something up.
  private func condemn(_ dead: [ObjectID]) throws {
    var list = condemned
    for pack in gone { list.packs[pack] = nil }
    // A time in the future would not pass.
    for (pack, condemnation) in list.packs where condemnation.since > now { list.packs[pack]?.since = now }
    // More than fit into a list have to wait for the next run.
    let fresh = dead.filter { list.packs[$0] == nil && !gone.contains($0) }
      .prefix(max(0, Limits.condemnedPacksMax - list.packs.count))
    for pack in fresh { list.packs[pack] = CondemnedList.Condemnation(list: 0, since: now) }
    list.leases = try list.packs.isEmpty ? [:] : others().sightings
    guard list != condemned else { return }
    try repository.storeCondemned(list, after: condemned)
    condemned = repository.index.current.condemned
    gone = []
    result.packsCondemned += fresh.count
  }

  private func others() throws -> OthersAtWork {
    try OthersAtWork(than: lease?.id, in: repository, condemned, now: now)
  }

  /// Packs that no index knows were left by interrupted runs. The order matters: first the packs are listed, then it
  /// is seen that nobody is at work, then the index is read. So the run that stored one of these packs has ended, and
  /// if it did so properly, the index tells.
  private func findOrphans() throws -> [ObjectID] {
    let stored = try repository.store.ids(.packs)
    guard try others().noneWrites else { return [] }
    let segments = try repository.store.ids(.index)
    try repository.index.refresh()
    var known: Set<ObjectID> = []
    for segment in repository.index.current.segments {
      for index in 0..<segment.packCount { known.insert(try segment.pack(index).id) }
    }
    let orphans = stored.filter { !known.contains($0) }
    // A backup that came and went meanwhile may have replaced segments while they were being listed, and a list is
    // not made in one moment: what is condemned must be unknown to an index at rest.
    let isAtRest = try repository.store.ids(.index) == segments && others().noneWrites
    return isAtRest ? orphans : []
  }

  // MARK: Deleting

  /// Condemned packs that nobody needs, as far as the last look at the snapshots says.
  private var unneeded: [ObjectID: CondemnedList.Condemnation] {
    condemned.packs.filter { pack, condemnation in
      let isUsed = (packs[pack]?.used ?? 0) > 0 && !copied.contains(pack)
      return !isUsed && !neededSince.contains(pack) && !gone.contains(pack)
    }
  }

  private func isOldEnough(_ condemnation: CondemnedList.Condemnation) -> Bool {
    age(of: condemnation.since, now: now) >= options.minimumAge
  }

  /// Deletes what was condemned before the last look at the snapshots, is old enough, and held by nobody.
  private func deleteDue() throws {
    let unneeded = unneeded
    guard !unneeded.isEmpty else { return }
    let others = try others()
    var due: [ObjectID] = []
    for (pack, condemnation) in unneeded where condemnation.list <= listBeforeLook && !orphans.contains(pack) {
      if isOldEnough(condemnation) && others.holding(list: condemnation.list).isEmpty { due.append(pack) }
    }
    // What an interrupted run has deleted is still in its list, and perhaps in the index.
    let deleted = unneeded.keys.filter { !stored.contains($0) && !due.contains($0) && !copied.contains($0) }
    try delete(due.sorted(), goneBefore: deleted)
  }

  /// With a minimum age of nothing: looks at the snapshots again, now that all can see what is condemned, and deletes.
  private func deleteAtOnce() throws {
    guard options.minimumAge <= 0 else { return }
    if condemned.number > listBeforeLook { try lookAgain() }
    try deleteDue()
    // A pack stays in the lists for as long as it is there.
    if !gone.isEmpty { try condemn([]) }
  }

  private func lookAgain() throws {
    let number = condemned.number
    let seen = try Self.completeCatalog(repository, options)
    try repository.index.refresh()
    // A backup that joins segments may have brought back what names packs that are gone.
    _ = try repository.index.avoidMissingPacks()
    var needed = NeededChunks()
    for snapshot in seen.snapshots where !usage.markedSnapshots.contains(snapshot.id) {
      let reader = SnapshotReader(snapshot, tree: tree)
      var announced = try AnnouncedSnapshots(than: lease?.id, in: repository, condemned, now: now)
      _ = try announced.mark(reader, repository, mayWrite: false, takenBack: { _ in }) {
        try needed.forEach(of: reader, entry: { try progress.throwIfStopped() }) { id, _ in
          // Wherever it is: there are few such snapshots.
          for place in try repository.index.places(of: id) { neededSince.insert(place.pack) }
        }
      }
    }
    listBeforeLook = number
  }

  private func delete(_ due: [ObjectID], goneBefore: [ObjectID]) throws {
    let dropped = Set(due + goneBefore)
    guard !dropped.isEmpty else { return }
    var isOutOfIndex = true
    do throws(YesterError) {
      try dropFromIndex(dropped)
    } catch {
      // The new segments need room, which there is when the packs are gone.
      guard let cause = error.cause, [.noSpace, .overQuota].contains(cause) else { throw error }
      isOutOfIndex = false
    }
    progress.begin(.delete, entries: UInt64(due.count), bytes: 0)
    for pack in due {
      progress.add(entries: 1)
      let size = try repository.store.size(.pack(pack))
      try repository.store.delete(.pack(pack))
      if let size {
        result.packsDeleted += 1
        result.bytesFreed += size
      }
    }
    if !isOutOfIndex { try dropFromIndex(dropped) }
    gone.formUnion(dropped)
  }

  /// Replaces the segments that name these packs. The new ones are there before the old ones go.
  private func dropFromIndex(_ dropped: Set<ObjectID>) throws(YesterError) {
    var affected: [IndexSegment] = []
    var isNamed = false
    for segment in repository.index.current.segments {
      let namesDropped: Bool
      do throws(FormatError) {
        namesDropped = try segment.names(dropped)
      } catch {
        throw YesterError.damaged("The index segment \(segment.id.short)", error)
      }
      isNamed = isNamed || namesDropped
      let isStrangers = !repository.keyring.believes(segment.writer)
      if namesDropped || isStrangers || segment.chunkCount < 1000 { affected.append(segment) }
    }
    if isNamed { try repository.replaceIndexSegments(affected) { !dropped.contains($0) } }
  }

  // MARK: Telling

  private func tellOfWaiting() throws {
    let waiting = unneeded
    result.packsWaiting = waiting.count
    guard !waiting.isEmpty else { return }
    let others = try others()
    for condemnation in waiting.values {
      for other in others.holding(list: condemnation.list) where !result.waitingFor.contains(other.description) {
        result.waitingFor.append(other.description)
      }
      guard !isOldEnough(condemnation) else { continue }
      let (due, overflow) = min(condemnation.since, now).addingReportingOverflow(options.minimumAge)
      if !overflow { result.waitingUntil = max(result.waitingUntil ?? due, due) }
    }
  }
}

extension IndexSegment {
  fileprivate func names(_ packs: Set<ObjectID>) throws(FormatError) -> Bool {
    for index in 0..<packCount where packs.contains(try pack(index).id) { return true }
    return false
  }
}
