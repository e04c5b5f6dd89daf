internal import ChunkCodec
internal import ObjectStores
internal import Platform
package import Reporting
package import RepositoryFormat

/// Putting a new segment of the index in the place of others.
extension Repository {
  /// Stores one segment with the packs of `segments` that `keep` wants, and deletes the others. The new one is there
  /// before the old ones go.
  ///
  /// Who signs a segment vouches for it. What this key or a full one has signed is taken over; what others say is not:
  /// their packs are listed anew, from the directories that lie in the packs. A segment stays where that fails, for it may
  /// know what a damaged directory does not tell any more.
  package func replaceIndexSegments(
    _ segments: [IndexSegment], keep: (_ pack: ObjectID) -> Bool
  ) throws(YesterError) {
    var builder = IndexSegmentBuilder()
    // Two writers may have joined the same segments at once: each pack is taken over once.
    var taken: Set<ObjectID> = []
    for segment in segments where keyring.believes(segment.writer) {
      do throws(FormatError) {
        try builder.add(segment) { keep($0) && taken.insert($0).inserted }
      } catch {
        throw YesterError.damaged("The index segment \(segment.id.short)", error)
      }
      builder.replaced.append(segment.id)
    }
    if keyring.role == .full {
      builder.statements = IndexLayout.Statement.joined(
        segments.filter { keyring.roster.standing(of: $0.writer) == .full }, keep)
      var gathered = GatheredPacks()
      for segment in segments where !keyring.believes(segment.writer) {
        if try list(segment, &gathered, &taken, keep) { builder.replaced.append(segment.id) }
      }
      for pack in gathered.packs { builder.add(pack) }
    }
    // What an interrupted run had replaced and not deleted would come to life again with its replacement gone.
    let left = index.current.replaced.intersection(segments.flatMap(\.replaced)).intersection(try store.ids(.index))
    builder.replaced += left.subtracting(builder.replaced).sorted()
    _ = try builder.store(in: store, keyring)
    for id in builder.replaced { try store.delete(.index(id)) }
    try index.refresh()
  }

  /// Puts what was gathered from packs in the place of the segments `replaced` of `old`. What full writers have said of
  /// packs that are `present` stays said; their listings are taken over of those that are worth `keeping`.
  package func replaceIndex(
    _ old: IndexView, _ replaced: [ObjectID], by gathered: GatheredPacks, present: (ObjectID) -> Bool,
    keeping: (ObjectID) -> Bool
  ) throws(YesterError) {
    var builder = IndexSegmentBuilder()
    builder.statements = IndexLayout.Statement.joined(
      old.segments.filter { keyring.roster.standing(of: $0.writer) == .full }, present)
    var taken: Set<ObjectID> = []
    for (number, segment) in old.segments.enumerated() where old.isBelieved(number) {
      do throws(FormatError) {
        try builder.add(segment) { keeping($0) && taken.insert($0).inserted }
      } catch {
        throw YesterError.damaged("The index segment \(segment.id.short)", error)
      }
    }
    for pack in gathered.packs { builder.add(pack) }
    // What an interrupted run had replaced goes as well: see above.
    let left = old.replaced.intersection(try store.ids(.index))
    builder.replaced = replaced + left.subtracting(replaced).sorted()
    if !builder.isEmpty { _ = try builder.store(in: store, keyring) }
    for id in builder.replaced { try store.delete(.index(id)) }
    try index.refresh()
  }

  /// Lists the packs of a segment that others have signed. Whether all that it knows of is listed now, or gone.
  private func list(
    _ segment: IndexSegment, _ gathered: inout GatheredPacks, _ taken: inout Set<ObjectID>,
    _ keep: (ObjectID) -> Bool
  ) throws(YesterError) -> Bool {
    var isWhole = true
    for index in 0..<segment.packCount {
      guard let pack = try? segment.pack(index).id, keep(pack), !taken.contains(pack) else { continue }
      do throws(YesterError) {
        let file = try PackFile(self, pack)
        taken.insert(pack)
        try gathered.add(file.indexed, self)
      } catch {
        guard error.code == .damaged else { throw error }
        if try store.size(.pack(pack)) != nil { isWhole = false }
      }
    }
    return isWhole
  }

  private static let mergeCount = 8
  private static let smallSegment = 4096

  /// Each run adds a segment; this joins eight of like size whenever there are so many, so that their number grows
  /// with the logarithm of the repository. Runs of other writers at the same time do no harm: at worst two segments
  /// say the same until these are joined in turn.
  ///
  /// `chunksMax` are the chunks of a segment that merging makes at most.
  package func mergeIndexSegments(chunksMax: Int = 1_000_000_000) throws(YesterError) {
    try index.refresh()
    while let group = mergeable(index.current.segments, chunksMax) {
      // The local copies have no sums of their own: what goes into the repository for good is read from there again,
      // where its seals and its name are checked.
      guard let fresh = try index.reread(group.map(\.id)) else { return }
      try replaceIndexSegments(fresh) { _ in true }
    }
  }

  /// Segments of one level that should become one: the smallest ones, as many as may be in one. Those of strangers are
  /// left to them, and to whoever reclaims space.
  private func mergeable(_ segments: [IndexSegment], _ chunksMax: Int) -> [IndexSegment]? {
    let believed = segments.filter { keyring.believes($0.writer) }
    let levels = Dictionary(grouping: believed) { Self.level($0.chunkCount) }
    for (_, members) in levels.sorted(by: { $0.key < $1.key }) where members.count >= Self.mergeCount {
      var group: [IndexSegment] = []
      var chunks = 0
      for segment in members.sorted(by: { ($0.chunkCount, $0.id) < ($1.chunkCount, $1.id) }) {
        chunks += segment.chunkCount
        guard chunks <= chunksMax else { break }
        group.append(segment)
      }
      if group.count >= Self.mergeCount { return group }
    }
    return nil
  }

  /// Segments up to 4,096 chunks are one level; from there on a level is eight times the one below.
  private static func level(_ chunks: Int) -> Int {
    var level = 0
    var limit = smallSegment
    while chunks >= limit {
      level += 1
      limit *= 8
    }
    return level
  }
}

/// Packs of which a segment is to be made. Where they are many, some segments are made of them on the way, so that they
/// never take much memory.
package struct GatheredPacks {
  /// Chunks that are held in memory at most.
  private static let chunksMax = 1 << 20

  package private(set) var packs: [IndexedPack] = []
  private var chunks = 0

  package init() {}

  package mutating func add(_ pack: IndexedPack, _ repository: Repository) throws(YesterError) {
    if chunks + pack.chunkCount > Self.chunksMax { try store(in: repository) }
    packs.append(pack)
    chunks += pack.chunkCount
  }

  /// Makes a segment of what is there, with what is to be said of packs.
  package mutating func store(in repository: Repository, _ statements: [IndexLayout.Statement] = []) throws(YesterError)
  {
    var builder = IndexSegmentBuilder()
    builder.statements = statements
    for pack in packs { builder.add(pack) }
    if !builder.isEmpty { _ = try builder.store(in: repository.store, repository.keyring) }
    packs = []
    chunks = 0
  }
}

extension IndexLayout.Statement {
  /// What segments say of packs that `keep` wants, the same once; the latest of each kind.
  static func joined(_ segments: [IndexSegment], _ keep: (ObjectID) -> Bool) -> [IndexLayout.Statement] {
    struct Subject: Hashable {
      let pack: ObjectID
      let kind: Kind
    }
    var latest: [Subject: Int64] = [:]
    for statement in segments.flatMap(\.statements) where keep(statement.pack) {
      let subject = Subject(pack: statement.pack, kind: statement.kind)
      latest[subject] = max(latest[subject] ?? statement.seconds, statement.seconds)
    }
    return latest.sorted { $0.key.pack < $1.key.pack }.map {
      IndexLayout.Statement(pack: $0.key.pack, kind: $0.key.kind, seconds: $0.value)
    }
  }
}
