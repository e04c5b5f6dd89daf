package import ObjectStores
internal import Platform
package import Reporting
package import RepositoryFormat
internal import Synchronization

/// Finds chunks: the segments of the repository, mapped, and what has come since.
package final class ChunkIndex: Sendable {
  package struct View: Sendable {
    package var segments: [IndexSegment] = []
    /// What `readCondemned` found last: nothing new builds on these packs.
    package fileprivate(set) var condemned = CondemnedList()
    fileprivate var known: Set<ObjectID> = []
    package fileprivate(set) var avoided: Set<ObjectID> = []
  }
  private let cache: IndexCache
  private let store: any ObjectStore
  private let view = Mutex(View())
  /// How often the local cache was made anew because it could not be read.
  private let repairs = Mutex(0)
  private static let repairsMax = 3

  package init(store: any ObjectStore, cache: IndexCache) {
    self.store = store
    self.cache = cache
  }

  package var current: View { view.withLock { $0 } }

  /// Takes in what the repository has now.
  package func refresh() throws(YesterError) { try refresh(isRebuilt: false) }

  /// With `isRebuilt` nothing of what is known is used. Until it is done, what is known is what others find.
  private func refresh(isRebuilt: Bool) throws(YesterError) {
    // A segment may be replaced and deleted between listing and reading: then the list is out of date.
    for _ in 0..<5 {
      let ids = Set(try store.ids(.index))
      if !isRebuilt, view.withLock({ $0.known == ids }) { return }
      let known = isRebuilt ? [] : view.withLock { $0.segments }
      guard let segments = try load(ids, known, isFresh: isRebuilt) else { continue }
      let replaced = Set(segments.flatMap(\.replaced))
      let live = segments.filter { !replaced.contains($0.id) }
      let sorted = live.sorted { $0.chunkCount > $1.chunkCount }
      view.withLock {
        $0.segments = sorted
        $0.known = ids
      }
      cache.keepOnly(ids)
      return
    }
    throw YesterError(
      .busy, "The index of the repository keeps changing", advice: "Wait until other runs are done and try again.")
  }

  private func load(
    _ ids: Set<ObjectID>, _ known: [IndexSegment], isFresh: Bool
  ) throws(YesterError) -> [IndexSegment]? {
    let known = Dictionary(known.map { ($0.id, $0) }, uniquingKeysWith: { a, _ in a })
    var out: [IndexSegment] = []
    for id in ids.sorted() {
      if let segment = known[id] {
        out.append(segment)
        continue
      }
      guard let segment = try cache.segment(id, isFresh: isFresh) else { return nil }
      out.append(segment)
    }
    return out
  }

  /// Where a chunk is, whatever its pack's state; nil when it is not known. Packs that are to be avoided come last.
  package func find(_ id: ObjectID) throws(YesterError) -> ChunkLocation? {
    try readingCache { (view) throws(YesterError) in
      var avoided: ChunkLocation?
      for segment in view.segments {
        guard let index = try segment.find(id) else { continue }
        let location = try segment.location(index)
        if !view.avoided.contains(location.pack) { return location }
        avoided = location
      }
      return avoided
    }
  }

  /// Where a chunk is in a pack that new snapshots may build on.
  package func findReusable(_ id: ObjectID) throws(YesterError) -> ChunkLocation? {
    try readingCache { (view) throws(YesterError) in
      for segment in view.segments {
        guard let index = try segment.find(id) else { continue }
        let location = try segment.location(index)
        if view.condemned.packs[location.pack] == nil, !view.avoided.contains(location.pack) { return location }
      }
      return nil
    }
  }

  /// Looks with `body`. What the local cache cannot be asked is read from the repository again, a few times: on a disk
  /// that fails for good the error comes out.
  private func readingCache<Value>(_ body: (View) throws(YesterError) -> Value) throws(YesterError) -> Value {
    while true {
      let seen = current
      do throws(YesterError) {
        return try body(seen)
      } catch {
        guard error.cause != nil else { throw error }
        try repair(seen, after: error)
      }
    }
  }

  /// Makes the cache anew unless another thread has done so since `seen`.
  private func repair(_ seen: View, after failure: YesterError) throws(YesterError) {
    try repairs.withLock { (count) throws(YesterError) in
      let present = Set(current.segments.map(ObjectIdentifier.init))
      guard seen.segments.allSatisfy({ present.contains(ObjectIdentifier($0)) }) else { return }
      guard count < Self.repairsMax else { throw failure }
      count += 1
      try rebuildCache()
    }
  }

  /// Packs that the index names and that are not in the repository, or not in full size. Nothing builds on them from
  /// now on, and other locations of their chunks are preferred.
  package func avoidMissingPacks() throws(YesterError) -> Set<ObjectID> {
    var sizes: [ObjectID: UInt64] = [:]
    try store.list(.packs) { name, size in if let id = ObjectID(hex: name) { sizes[id] = size } }
    var missing: Set<ObjectID> = []
    for segment in current.segments {
      do throws(FormatError) {
        for index in 0..<segment.packCount {
          let pack = try segment.pack(index)
          if sizes[pack.id] != pack.size { missing.insert(pack.id) }
        }
      } catch {
        throw YesterError.damaged("The index segment \(segment.id.short)", error)
      }
    }
    avoid(Array(missing))
    return missing
  }

  /// Takes in the list that counts now.
  func condemn(_ list: CondemnedList) { view.withLock { $0.condemned = list } }

  /// From now on, as far as this process is concerned, nothing new builds on these packs.
  package func avoid(_ packs: [ObjectID]) {
    view.withLock { view in for pack in packs { view.avoided.insert(pack) } }
  }

  /// Segments read from the repository again, past what the local cache has of them; nil when one is not there.
  func reread(_ ids: [ObjectID]) throws(YesterError) -> [IndexSegment]? {
    var out: [IndexSegment] = []
    for id in ids {
      guard let segment = try cache.segment(id, isFresh: true) else { return nil }
      out.append(segment)
    }
    return out
  }

  /// Forgets the local cache and reads the index from the repository again.
  package func rebuildCache() throws(YesterError) {
    cache.clear()
    try refresh(isRebuilt: true)
  }
}
