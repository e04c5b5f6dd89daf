internal import ChunkCodec
internal import ObjectStores
internal import Platform
package import Reporting
package import RepositoryCore
package import RepositoryFormat
internal import SnapshotTree

/// Proves that what is stored is what was stored.
package enum Verify {
  package enum Level: String, Sendable, CaseIterable {
    /// Records, trees and index agree.
    case structure
    /// Every object still has the bytes that its name says. Needs no key.
    case packs
    /// Every chunk is opened and verified against its id. Includes the structure.
    case data
  }

  package struct Finding: Sendable {
    /// What is wrong, a sentence without its full stop.
    package let message: String
    /// The snapshot and path that are hit, where that is known.
    package var snapshot: String?
    package var path: [UInt8]?
    /// What was wrong is right again.
    package var isMended = false
  }

  package struct Result: Sendable {
    package var objects: UInt64 = 0
    package var bytes: UInt64 = 0
    package var snapshots: UInt64 = 0
    package var entries: UInt64 = 0
    package var chunks: UInt64 = 0
    /// What is damaged still.
    package var findings: UInt64 = 0
    /// Objects that were written anew.
    package var mended: UInt64 = 0
    /// Packs by others than full writers of which everything was opened and is right.
    package var verifiedPacks: [ObjectID] = []
  }

  /// Snapshots of so many entries are what they claim to be: to walk through them takes seconds.
  static let unquestionedEntries: UInt64 = 1 << 20
  /// A directory may be seen in so many places: snapshots of a file system that are backed up together share theirs.
  static let sharingMax: UInt64 = 1 << 16

  /// So many paths are named; beyond that they are counted.
  package static let pathsNamedMax = 1000

  /// Walks all snapshots given, and with `level` data opens everything first.
  package static func snapshots(
    _ repository: Repository, _ catalog: SnapshotCatalog, _ snapshots: [CatalogedSnapshot], _ level: Level,
    progress: RunProgress, report: @escaping (Finding) -> Void
  ) throws -> (result: Result, sound: [CatalogedSnapshot]) {
    // A damaged local copy of the index must not pass for a damaged repository, nor hide one.
    try repository.index.rebuildCache()
    let run = VerificationRun(repository, progress, report)
    for finding in try EpochVerification.findings(repository.store) { run.find(finding) }
    run.checkCatalog(catalog)
    var total = WalkTotal(snapshots)
    let isWhole = snapshots.count == catalog.snapshots.count
    var bytes: UInt64 = 0
    if level == .data && !isWhole { bytes = snapshots.reduce(0) { $0.clampedSum($1.record.counts.bytes) } }
    progress.begin(.verify, entries: total.entries, bytes: bytes)
    if level == .data {
      bytes.addClamped(try run.openEverything(isWhole: isWhole, entriesTotal: total.entries))
    } else {
      try run.checkPacksPresent()
    }
    var sound: [CatalogedSnapshot] = []
    for snapshot in snapshots {
      let before = run.result.entries
      if try run.walk(snapshot, reads: level == .data) { sound.append(snapshot) }
      total.didWalk(entries: run.result.entries - before)
      progress.setTotals(entries: total.entries, bytes: bytes)
    }
    run.reportMissingPacks(areNeeded: sound.count < snapshots.count)
    return (run.result, sound)
  }

  /// Records that these snapshots were found sound; a read-only repository is left alone.
  package static func note(_ repository: Repository, _ sound: [CatalogedSnapshot], level: String) throws {
    guard !sound.isEmpty else { return }
    var note = NoteRecord(
      kind: .verified, time: .now(),
      subjects: sound.map {
        NoteRecord.Subject(snapshot: $0.id, writer: $0.envelope.writer, sequence: $0.record.sequence)
      })
    note.level = level
    do throws(YesterError) {
      try repository.store(note, after: try SnapshotCatalog(repository, telling: false))
    } catch {
      guard let cause = error.cause, [.readOnly, .denied, .notPermitted].contains(cause) else { throw error }
    }
  }

  /// States that these packs are verified, so that others may build on them, and lists them in a full writer's name; a
  /// read-only repository is left alone.
  package static func state(_ repository: Repository, verified packs: [ObjectID]) throws {
    let view = repository.index.current
    var listed: Set<ObjectID> = []
    for (number, segment) in view.segments.enumerated() where view.isBelieved(number) {
      for index in 0..<segment.packCount { listed.insert(try segment.pack(index).id) }
    }
    let now = Timestamp.now().seconds
    var gathered = GatheredPacks()
    var statements: [IndexLayout.Statement] = []
    do throws(YesterError) {
      for pack in packs where !view.verified.contains(pack) || !listed.contains(pack) {
        statements.append(IndexLayout.Statement(pack: pack, kind: .verified, seconds: now))
        if !listed.contains(pack) { try gathered.add(PackFile(repository, pack).indexed, repository) }
      }
      try gathered.store(in: repository, statements)
      try repository.index.refresh()
    } catch {
      guard let cause = error.cause, [.readOnly, .denied, .notPermitted].contains(cause) else { throw error }
    }
  }

  private final class VerificationRun {
    private let repository: Repository
    private let progress: RunProgress
    private let report: (Finding) -> Void
    private let tree: TreeStore
    private(set) var result = Result()
    private var badPacks: Set<ObjectID> = []
    private var missingPacks: Set<ObjectID> = []
    private var badBlocks: Set<BlockCache.Key> = []
    private var openedPacks: Set<ObjectID> = []
    /// Listings that were found sound, with all below them.
    private var soundListings: Set<ObjectID> = []
    /// Of these, those with names of hard links in them or below.
    private var linkedListings: Set<ObjectID> = []
    private var named = 0

    init(_ repository: Repository, _ progress: RunProgress, _ report: @escaping (Finding) -> Void) {
      self.repository = repository
      self.progress = progress
      self.report = report
      tree = TreeStore(reader: repository.reader)
    }

    func find(_ message: String, snapshot: String? = nil, path: [UInt8]? = nil) {
      result.findings += 1
      if path != nil {
        named += 1
        if named > Verify.pathsNamedMax { return }
      }
      report(Finding(message: message, snapshot: snapshot, path: path))
    }

    func checkCatalog(_ catalog: SnapshotCatalog) {
      for (id, error) in catalog.damaged { find("the record snapshots/\(id) is unusable: \(error.message)") }
      for gap in ChainCheck.findings(catalog) { find(gap) }
      for (id, error) in repository.index.current.unusable {
        find(
          "index/\(id) cannot be used: \(error.message); \"yester repair --rebuild-index\" makes the index anew")
      }
      // No damage: two machines with one key do it without knowing.
      for fork in catalog.forks { repository.notices.tell(fork.text + ".") }
    }

    private func indexedPacks() throws -> [(segment: IndexSegment, index: Int, pack: IndexLayout.Pack)] {
      var out: [(segment: IndexSegment, index: Int, pack: IndexLayout.Pack)] = []
      for segment in repository.index.current.segments {
        for index in 0..<segment.packCount { out.append((segment, index, try segment.pack(index))) }
      }
      return out
    }

    func checkPacksPresent() throws {
      missingPacks = try repository.index.avoidMissingPacks()
      badPacks.formUnion(missingPacks)
    }

    /// A missing pack of which all that is needed lies elsewhere as well is no damage; `prune` forgets it.
    func reportMissingPacks(areNeeded: Bool) {
      guard areNeeded else { return }
      for pack in missingPacks.sorted() { find("the pack \(pack.short) is missing or cut off") }
    }

    /// Opens every block of every pack of the index and verifies every chunk against its id. For some snapshots only,
    /// their chunks are read on the walk instead. How many bytes were to be read.
    func openEverything(isWhole: Bool, entriesTotal: UInt64) throws -> UInt64 {
      try checkPacksPresent()
      guard isWhole else { return 0 }
      let packs = try indexedPacks().filter { !badPacks.contains($0.pack.id) }
      var sizes: [ObjectID: UInt64] = [:]
      for pack in packs { sizes[pack.pack.id] = pack.pack.size }
      let bytes = sizes.values.reduce(0, +)
      progress.setTotals(entries: entriesTotal, bytes: bytes)
      let queue = BoundedQueue<(pack: ObjectID, size: UInt64)>(limit: 4)
      let outcome = Monitor(PackOutcomes())
      let workers = try Worker.team("yester-verify", count: System.processorCount, end: { queue.close() }) {
        [repository, progress] _ in
        while let (pack, size) = queue.take() {
          if progress.stop.isRaised { continue }
          let found = PackOutcome.check(pack, repository, progress)
          // What is around the blocks, or could not be read.
          progress.add(skippedBytes: size - min(size, found.bytes))
          outcome.update { $0.add(pack, found) }
        }
      }
      for pack in sizes.keys.sorted() { queue.put((pack, sizes[pack] ?? 0)) }
      queue.close()
      for worker in workers { worker.join() }
      try progress.throwIfStopped()
      let all = outcome.withLock { $0 }
      result.chunks += all.chunks
      openedPacks = all.opened
      result.verifiedPacks = all.verified.sorted()
      badPacks.formUnion(all.badPacks)
      badBlocks.formUnion(all.badBlocks)
      for message in all.messages.sorted() { find(message) }
      return bytes
    }

    /// Walks one snapshot; whether it is sound.
    func walk(_ snapshot: CatalogedSnapshot, reads: Bool) throws -> Bool {
      result.snapshots += 1
      let reader = SnapshotReader(snapshot, tree: tree)
      let content = FileContentReader(tree: tree, keySet: snapshot.keySet)
      let name = snapshot.record.name
      var isSound = try checkCounts(reader)
      var links = LinkGroups()
      // Each is walked once, so that no graph of a few listings keeps this busy without end.
      var unsoundListings: Set<ObjectID> = []
      /// Directories that are open, with whether all was sound in them so far.
      struct Level {
        let node: SnapshotNode
        let path: [UInt8]
        var position: UInt64 = 0
        var isSound = true
        var hasLinks = false
      }
      var stack = [Level(node: reader.root, path: [])]
      while let top = stack.last {
        try progress.throwIfStopped()
        if top.position == 0 { progress.setPath(top.path) }
        var below: Level?
        var position = top.position
        var isHere = true
        var hasLinks = false
        do {
          try reader.forEachChild(of: top.node, from: top.position) { child, at in
            position = at + 1
            result.entries += 1
            progress.add(entries: 1)
            let path = top.path.isEmpty ? child.entry.name : top.path + [0x2F] + child.entry.name
            hasLinks = hasLinks || child.entry.link != nil
            if !links.agree(child.entry) {
              isHere = false
              find(LinkGroups.problem, snapshot: name, path: path)
            }
            switch child.entry.body {
            case .directory(_, let listing):
              if unsoundListings.contains(listing) {
                isHere = false
              } else if !soundListings.contains(listing) {
                below = Level(node: child, path: path)
              } else if linkedListings.contains(listing) {
                hasLinks = true
                if try !checkLinks(below: child, path, reader, &links) { isHere = false }
              }
            case .file(let size, let body):
              if let problem = try problem(body, size, content, reads: reads) {
                isHere = false
                find(problem, snapshot: name, path: path)
              }
            default: break
            }
            return below == nil
          }
        } catch let error as YesterError where error.code == .damaged {
          isHere = false
          find("its listing cannot be read: \(error.message)", snapshot: name, path: top.path)
        }
        stack[stack.count - 1].position = position
        if !isHere { stack[stack.count - 1].isSound = false }
        if hasLinks { stack[stack.count - 1].hasLinks = true }
        if let below {
          stack.append(below)
          continue
        }
        guard let done = stack.popLast() else { break }
        if done.hasLinks, !stack.isEmpty { stack[stack.count - 1].hasLinks = true }
        guard case .directory(_, let listing) = done.node.entry.body else { continue }
        if done.isSound {
          soundListings.insert(listing)
          if done.hasLinks { linkedListings.insert(listing) }
        } else {
          isSound = false
          unsoundListings.insert(listing)
          if !stack.isEmpty { stack[stack.count - 1].isSound = false }
        }
      }
      return isSound
    }

    /// Best first. Of a chunk in a trusted place that is sound, no other is asked for.
    private func places(of chunk: ObjectID) throws -> [ChunkPlace] {
      try repository.index.look { (view) throws(YesterError) in
        if let place = try view.trusted(chunk, { !isBad($0) }) { return [place] }
        var places: [ChunkPlace] = []
        try view.forEachPlace(of: chunk) { places.append($0) }
        return places.sorted { $0.rank < $1.rank }
      }
    }

    private func isBad(_ location: ChunkLocation) -> Bool {
      badPacks.contains(location.pack)
        || badBlocks.contains(BlockCache.Key(pack: location.pack, number: location.block.number))
    }

    /// Whether the names of hard links in a directory that was found sound fit those in the rest of a snapshot.
    private func checkLinks(
      below directory: SnapshotNode, _ path: [UInt8], _ reader: SnapshotReader, _ links: inout LinkGroups
    ) throws -> Bool {
      var isSound = true
      var open = [(node: directory, path: path)]
      var seen: Set<ObjectID> = []
      while let (node, above) = open.popLast() {
        try progress.throwIfStopped()
        try reader.forEachChild(of: node) { child, _ in
          let path = above + [0x2F] + child.entry.name
          if !links.agree(child.entry) {
            isSound = false
            find(LinkGroups.problem, snapshot: reader.snapshot.record.name, path: path)
          }
          if case .directory(_, let listing) = child.entry.body, linkedListings.contains(listing),
            seen.insert(listing).inserted
          {
            open.append((child, path))
          }
          return true
        }
      }
      return isSound
    }

    /// What a record says of the number of its entries. A few listings that hold each other many times over count
    /// billions of entries, which are all sound and which nobody can walk through.
    private func checkCounts(_ reader: SnapshotReader) throws -> Bool {
      let name = reader.snapshot.record.name
      let claimed = reader.entryCount
      guard reader.snapshot.record.counts.entries == claimed else {
        find("its record counts \(reader.snapshot.record.counts.entries) entries, its tree \(claimed)", snapshot: name)
        return false
      }
      guard claimed > Verify.unquestionedEntries else { return true }
      let distinct = try distinctEntries(reader)
      guard claimed / Verify.sharingMax > distinct else { return true }
      find(
        "it claims \(claimed) entries, of which only \(distinct) are different: no file system is like that, and who made "
          + "it wants to keep readers busy", snapshot: name)
      return false
    }

    /// How many entries all different listings of a snapshot hold; those that cannot be read are told elsewhere.
    private func distinctEntries(_ reader: SnapshotReader) throws -> UInt64 {
      var count: UInt64 = 1
      var open = [reader.root]
      var seen: Set<ObjectID> = []
      while let node = open.popLast() {
        try progress.throwIfStopped()
        do {
          try reader.forEachChild(of: node) { child, _ in
            count.addClamped(1)
            if case .directory(let below, let listing) = child.entry.body, below > 0, seen.insert(listing).inserted {
              open.append(child)
            }
            return true
          }
        } catch let error as YesterError where error.code == .damaged {
          continue
        }
      }
      return count
    }

    /// Why a file cannot be read in full; nil when it can.
    private func problem(
      _ body: FileContent, _ size: UInt64, _ content: FileContentReader, reads: Bool
    ) throws -> String? {
      var problem: String?
      do {
        try content.forEachPiece(of: body, size: size, from: 0) { offset, piece in
          guard let chunk = piece.chunk else {
            if reads && openedPacks.isEmpty { progress.add(skippedBytes: piece.length) }
            return true
          }
          let places = try places(of: chunk)
          guard let first = places.first else {
            problem = "the chunk \(chunk.short) at byte \(offset) is missing"
            return false
          }
          let sound = places.filter { !isBad($0.location) }
          guard !sound.isEmpty else {
            problem = "bytes from \(offset) are in a damaged pack (\(first.location.pack.short))"
            return false
          }
          guard let place = sound.first(where: { UInt64($0.location.length) == piece.length }) else {
            problem = "the chunk \(chunk.short) at byte \(offset) has another length than the file says"
            return false
          }
          // That a pack is sound says nothing of a place in it that only a stranger tells of.
          if reads && (place.rank != .trusted || !openedPacks.contains(place.location.pack)) {
            _ = try content.chunk(chunk, length: piece.length)
            result.chunks += 1
            progress.add(bytes: piece.length)
          }
          return true
        }
      } catch let error as YesterError where error.code == .damaged {
        return error.message
      }
      return problem
    }
  }
}

/// What was said of the files of several names of one snapshot.
private struct LinkGroups {
  static let problem = "it is said to be a hard link of an entry that is something else"
  private var known: [UInt64: LinkIdentity] = [:]

  /// Whether an entry says what the others of its group say.
  mutating func agree(_ entry: Entry) -> Bool {
    // A directory has one name.
    guard let link = entry.link else { return entry.linkGroup == nil }
    guard let first = known[link.group] else {
      known[link.group] = link
      return true
    }
    return first == link
  }
}
