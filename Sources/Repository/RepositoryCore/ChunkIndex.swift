package import ChunkCodec
package import ObjectStores
internal import Platform
package import Reporting
package import RepositoryFormat
internal import Synchronization

/// Finds chunks: the segments of the repository, mapped, and what has come since.
///
/// The index is a conclusion from the packs and has no authority: it gives every place of a chunk that it knows of, best
/// first, and whoever reads tries them until one proves to be right.
package final class ChunkIndex: Sendable {
  package typealias View = IndexView
  private struct State {
    /// What look-ups see.
    var seen = Seen(view: .empty)
    var known: Set<ObjectID> = []
    /// Segments that were opened, also those that others replace.
    var opened: [IndexSegment] = []
    var unusable: [(id: ObjectID, error: YesterError)] = []
    /// Packs that the index names and that were not there when they were last looked for.
    var absent: Set<ListedPack> = []

    mutating func see(_ change: (inout Seen.Parts) -> Void) {
      var parts = seen.parts
      change(&parts)
      seen = Seen(parts)
    }
  }
  /// In one object, which a look-up takes with one reference: there are millions of them.
  private final class Seen: Sendable {
    struct Parts: Sendable {
      var view: IndexView
      /// Packs that nothing new builds on, as far as this process is concerned.
      var avoided: Set<ObjectID> = []
      /// Where something else was than the index says, or nothing.
      var failed: Set<ChunkLocation> = []
      /// How often everything was read from the repository again.
      var rebuilds = 0
    }
    let parts: Parts
    init(_ parts: Parts) { self.parts = parts }
    convenience init(view: IndexView) { self.init(Parts(view: view)) }
  }
  private let cache: IndexCache
  private let store: any ObjectStore
  private let keyring: Keyring
  private let state = Mutex(State())
  /// How often the local cache was made anew because it could not be read.
  private let repairs = Mutex(0)
  private static let repairsMax = 3
  /// Reading the index again may take long, and damage may be asked for without end.
  private let doubt = Mutex(Doubt())
  /// Failed places that are remembered: beyond that, all are tried again.
  private static let failedMax = 4096

  package init(store: any ObjectStore, keyring: Keyring, cache: IndexCache) {
    self.store = store
    self.keyring = keyring
    self.cache = cache
  }

  private var seen: Seen { state.withLock { $0.seen } }

  package var current: IndexView { seen.parts.view }

  // MARK: Reading segments

  /// Takes in what the repository has now.
  package func refresh() throws(YesterError) { try refresh(isRebuilt: false) }

  /// With `isRebuilt` nothing of what is known is used. Until it is done, what is known is what others find.
  private func refresh(isRebuilt: Bool) throws(YesterError) {
    // A segment may be replaced and deleted between listing and reading: then the list is out of date.
    for _ in 0..<5 {
      let ids = Set(try store.ids(.index))
      let known = state.withLock { $0 }
      if !isRebuilt, known.known == ids { return }
      guard let (opened, unusable) = try load(ids, isRebuilt ? State() : known, isFresh: isRebuilt) else { continue }
      state.withLock { state in
        state.opened = opened
        state.unusable = unusable
        state.known = ids
        judge(&state)
        guard isRebuilt else { return }
        state.see {
          $0.failed = []
          $0.rebuilds += 1
        }
      }
      cache.keepOnly(ids)
      return
    }
    throw YesterError(
      .busy, "The index of the repository keeps changing", advice: "Wait until other runs are done and try again.")
  }

  private func judge(_ state: inout State) {
    let view = IndexView(state.opened, unusable: state.unusable, keyring, absent: state.absent)
    state.see {
      let condemned = $0.view.condemned
      $0.view = view
      $0.view.condemned = condemned
    }
  }

  /// Nil when a segment has vanished. One that is damaged or forged is set aside: whoever can put an object into the store
  /// could make the repository unreadable otherwise.
  private func load(
    _ ids: Set<ObjectID>, _ known: State, isFresh: Bool
  ) throws(YesterError) -> (opened: [IndexSegment], unusable: [(id: ObjectID, error: YesterError)])? {
    let segments = Dictionary(known.opened.map { ($0.id, $0) }, uniquingKeysWith: { a, _ in a })
    let refused = Dictionary(known.unusable.map { ($0.id, $0.error) }, uniquingKeysWith: { a, _ in a })
    var opened: [IndexSegment] = []
    var unusable: [(id: ObjectID, error: YesterError)] = []
    for id in ids.sorted() {
      if let segment = segments[id] {
        opened.append(segment)
        continue
      }
      if let error = refused[id] {
        unusable.append((id, error))
        continue
      }
      do throws(YesterError) {
        guard let segment = try cache.segment(id, isFresh: isFresh) else { return nil }
        opened.append(segment)
      } catch {
        guard error.code == .damaged || error.code == .wrongKey else { throw error }
        unusable.append((id, error))
      }
    }
    return (opened, unusable)
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

  /// Fails when there is a segment that cannot be used: what is deleted because of the index must follow from all of it.
  package func requireWhole() throws(YesterError) {
    guard let (_, error) = current.unusable.first else { return }
    throw YesterError(
      error.code, error.message,
      advice: "Nothing was deleted. Run \"yester repair --rebuild-index\" with a full key, which makes the index anew "
        + "from what is stored.")
  }

  // MARK: Finding

  /// The best place of a chunk that is known, whatever its pack's state; nil when there is none.
  package func find(_ id: ObjectID) throws(YesterError) -> ChunkLocation? {
    let best = try readingCache { (seen) throws(YesterError) in
      try seen.view.trusted(id) { !seen.failed.contains($0) && !seen.avoided.contains($0.pack) }
    }
    if let best { return best.location }
    return try places(of: id).first
  }

  /// All places of a chunk that are known, best first: those that have failed before come last.
  package func places(of id: ObjectID) throws(YesterError) -> [ChunkLocation] {
    try readingCache { (seen) throws(YesterError) in
      var found: [ChunkLocation: (UInt8, UInt8)] = [:]
      try seen.view.forEachPlace(of: id) { place in
        let location = place.location
        let trouble: UInt8 = seen.failed.contains(location) ? 2 : seen.avoided.contains(location.pack) ? 1 : 0
        let order = (trouble, place.rank.rawValue)
        guard let known = found[location] else {
          if found.count < Self.placesMax { found[location] = order }
          return
        }
        if order < known { found[location] = order }
      }
      return found.sorted {
        ($0.value.0, $0.value.1, $0.key.pack) < ($1.value.0, $1.value.1, $1.key.pack)
      }.map(\.key)
    }
  }
  private static let placesMax = 4096

  /// Where a chunk is in a pack that new snapshots may build on.
  package func findReusable(_ id: ObjectID) throws(YesterError) -> ChunkLocation? {
    try readingCache { (seen) throws(YesterError) in
      try seen.view.trusted(id) { place in
        seen.view.condemned.packs[place.pack] == nil && !seen.avoided.contains(place.pack)
          && !seen.failed.contains(place)
      }?.location
    }
  }

  /// Looks into all that is known with `body`, which may be called again: see `readingCache`.
  package func look<Value>(_ body: (IndexView) throws(YesterError) -> Value) throws(YesterError) -> Value {
    try readingCache { (seen) throws(YesterError) in try body(seen.view) }
  }

  /// Looks with `body`. What the local cache cannot be asked is read from the repository again, a few times: on a disk
  /// that fails for good the error comes out.
  private func readingCache<Value>(_ body: (Seen.Parts) throws(YesterError) -> Value) throws(YesterError) -> Value {
    while true {
      let seen = seen
      do throws(YesterError) {
        return try body(seen.parts)
      } catch {
        guard error.cause != nil else { throw error }
        try repair(seen.parts.rebuilds, after: error)
      }
    }
  }

  /// Makes the cache anew unless another thread has done so since there were `rebuilds`.
  private func repair(_ rebuilds: Int, after failure: YesterError) throws(YesterError) {
    try repairs.withLock { (count) throws(YesterError) in
      guard self.rebuilds == rebuilds else { return }
      guard count < Self.repairsMax else { throw failure }
      count += 1
      try rebuildCache()
    }
  }

  // MARK: Doubt

  private struct Doubt {
    /// When the index may be read again because of a doubt, by the clock that never jumps.
    var nextNanoseconds: Int64 = 0
  }
  private static let doubtIntervalNanoseconds: Int64 = 30_000_000_000
  /// At most one part in so many of the time is spent on reading the index again.
  private static let doubtShare: Int64 = 20

  /// To be called when a chunk was not where the index says, and nowhere else: reads all of the index from the repository
  /// again, past the local copy, but not more often than now and then. Whether that was done, by this thread or another
  /// one, since there were `rebuilds`.
  func rebuildInDoubt(since rebuilds: Int) throws(YesterError) -> Bool {
    try doubt.withLock { (doubt) throws(YesterError) in
      guard self.rebuilds == rebuilds else { return true }
      let start = System.bootClock
      guard start >= doubt.nextNanoseconds else { return false }
      defer {
        let now = System.bootClock
        doubt.nextNanoseconds = now + max(Self.doubtIntervalNanoseconds, (now - start) * Self.doubtShare)
      }
      try rebuildCache()
      return true
    }
  }

  /// How often all of the index was read again.
  var rebuilds: Int { seen.parts.rebuilds }

  /// From now on these places come last: something else is there, or nothing.
  func fail(_ locations: [ChunkLocation]) {
    guard !locations.isEmpty else { return }
    state.withLock { state in
      state.see { seen in
        if seen.failed.count >= Self.failedMax { seen.failed = [] }
        seen.failed.formUnion(locations.prefix(Self.failedMax))
      }
    }
  }

  // MARK: Packs

  /// Looks which packs are there. Those that the index names and that are not in the repository, or not in full size, are
  /// no places any more: nothing builds on them, and other places of their chunks are taken first.
  package func avoidMissingPacks() throws(YesterError) -> Set<ObjectID> {
    var sizes: [ObjectID: UInt64] = [:]
    let segments = current.segments
    try store.list(.packs) { name, size in if let id = ObjectID(hex: name) { sizes[id] = size } }
    var absent: Set<ListedPack> = []
    // Who lists a pack with a wrong size does not make it vanish for those who list it with the right one.
    var present: Set<ObjectID> = []
    for segment in segments {
      do throws(FormatError) {
        for index in 0..<segment.packCount {
          let pack = try segment.pack(index)
          if sizes[pack.id] == pack.size {
            present.insert(pack.id)
          } else {
            absent.insert(ListedPack(id: pack.id, size: pack.size))
          }
        }
      } catch {
        throw YesterError.damaged("The index segment \(segment.id.short)", error)
      }
    }
    let mendable = try mendable(absent)
    absent.subtract(mendable)
    present.formUnion(mendable.map(\.id))
    let missing = Set(absent.map(\.id)).subtracting(present)
    state.withLock { state in
      state.absent = absent
      judge(&state)
    }
    return missing
  }

  /// Packs that are missing, or not in full size, and are whole as soon as their damage is made good.
  private func mendable(_ packs: Set<ListedPack>) throws(YesterError) -> [ListedPack] {
    guard let healing = store.healing else { return [] }
    var out: [ListedPack] = []
    for pack in packs {
      let key = ObjectKey.pack(pack.id)
      // A large pack that is gone has left nothing: nothing is asked for each that an index has made up.
      if pack.size >= ParityLayout.contentSizeMin, try store.size(key) == nil { continue }
      guard try healing.originalSize(key) == pack.size, try healing.canMend(key) else { continue }
      healing.log.add(.pack(pack.id), try store.size(.pack(pack.id)) == nil ? .missing : .damaged)
      out.append(pack)
    }
    return out
  }

  /// Those of `packs` that are not in the repository now.
  package func absent(_ packs: Set<ObjectID>) throws(YesterError) -> Set<ObjectID> {
    // From some number on it is less to list all of them.
    if packs.count > Self.askedMax { return packs.subtracting(try store.ids(.packs)) }
    var absent: Set<ObjectID> = []
    for pack in packs where try store.size(.pack(pack)) == nil { absent.insert(pack) }
    return absent
  }
  private static let askedMax = 64

  /// Whether a pack is in the repository now.
  package func isPresent(_ pack: ObjectID) throws(YesterError) -> Bool { try store.size(.pack(pack)) != nil }

  /// Takes in the list that counts now.
  func condemn(_ list: CondemnedList) {
    state.withLock { state in state.see { $0.view.condemned = list } }
  }

  /// Packs that this process is not to build on.
  package var avoided: Set<ObjectID> { seen.parts.avoided }

  /// From now on, as far as this process is concerned, nothing new builds on these packs.
  package func avoid(_ packs: [ObjectID]) {
    state.withLock { state in state.see { $0.avoided.formUnion(packs) } }
  }
}
