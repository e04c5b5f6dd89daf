internal import ObjectStores
internal import ChunkCodec
internal import Platform
package import Reporting
package import RepositoryCore
package import RepositoryFormat
package import SnapshotTree
internal import Synchronization

/// Makes a snapshot: walk, read, cut, store, index, record.
package enum Backup {
  package struct Result: Sendable {
    package let record: SnapshotRecord
    /// Nil for a dry run.
    package let id: ObjectID?
    /// Paths of which something is not in the snapshot, with the sources that are not in it at all.
    package let problems: Int
    package let missingSources: Int
    package let baseName: String?
  }

  /// Throws `YesterError`, also when nothing could be backed up; `Stopped` when `progress.stop` was raised: then what
  /// was stored so far is indexed, and the next run builds on it. `listing` is told of each entry in the order of the
  /// walk, a directory behind its content.
  package static func run(
    _ repository: Repository, _ options: BackupOptions, progress: RunProgress, listing: EntryListing? = nil,
    report: @escaping (PathProblem) -> Void
  ) throws -> Result {
    guard !options.sources.isEmpty || options.sourceList != nil || options.streamedFile != nil else {
      throw YesterError(.usage, "There is nothing to back up", advice: "Name at least one path.")
    }
    try options.checkWords()
    let problems = ProblemCounter(isStrict: options.isStrict, report)
    let plan = try SourcePlan(options) { try problems.take($0) }
    guard !plan.isEmpty || options.streamedFile != nil else { throw problems.nothing(isExcluded: false) }
    for remark in ExcludeReach.remarks(options.ownExcludePatterns, plan) where !plan.isEmpty { report(remark) }
    let sources = options.streamedFile.map { [[0x2F] + $0.path] } ?? plan.summary()
    try repository.requireCurrentKeys()
    let lease = options.isDryRun ? nil : try Lease.take(repository, .backup)
    defer { lease?.release() }
    let catalog = try repository.readCatalog()
    // What a lost pack held is stored again where the source still has it.
    _ = try repository.index.avoidMissingPacks()
    let base = BaseTree.choose(repository, catalog, options, sources: sources)
    if let counts = base?.snapshot.record.counts {
      progress.setTotals(entries: counts.entries, bytes: counts.bytes)
    }
    let scanIsOver = CancellationFlag()
    defer { scanIsOver.raise() }
    if base == nil && options.showsProgress && !plan.isEmpty {
      SourceScan.start(plan, options, repository, progress, done: scanIsOver)
    }
    let start = Timestamp.now()
    let work = try Work(repository, options, base, plan, progress, listing, problems)
    var record = try work.run()
    record.start = start
    record.end = .now()
    record.sources = sources
    describe(&record, options, base, catalog)
    func result(_ id: ObjectID?) -> Result {
      Result(
        record: record, id: id, problems: problems.count, missingSources: problems.missing,
        baseName: base?.snapshot.record.name)
    }
    if options.isDryRun { return result(nil) }
    try lease?.requireHeld()
    // Until now, too: it may be what has ended a stream.
    try progress.throwIfStopped()
    let id = try storeUnderFreeName(&record, repository, catalog)
    // Had the lease been lost in the last moment, the snapshot might lack something: better said than assumed.
    try lease?.requireHeld()
    // The snapshot is complete. When this fails (a store that lets nothing be deleted, say), the next run tries again.
    try? repository.mergeIndexSegments()
    return result(id)
  }

  /// Others may have added records meanwhile: the name must be free, and the chain must go on from its end. The name is
  /// claimed first, so that two runs that end at the same moment do not take the same.
  private static func storeUnderFreeName(
    _ record: inout SnapshotRecord, _ repository: Repository, _ catalog: SnapshotCatalog
  ) throws -> ObjectID {
    var refused: Set<String> = []
    for _ in 0..<1000 {
      let before = try SnapshotCatalog(repository, reusing: catalog)
      record.name = name(record, before, refused)
      guard let claim = try NameClaim.take(repository, "\(record.host)/\(record.name)") else {
        refused.insert(record.name)
        continue
      }
      defer { claim.release() }
      // Somebody may have stored a record of this name and given up his claim just before ours.
      let now = try SnapshotCatalog(repository, reusing: before)
      guard name(record, now, refused) == record.name else { continue }
      return try repository.store(&record, after: now)
    }
    throw YesterError(.busy, "No free name was found for the snapshot", advice: "Run the backup again.")
  }

  private static func name(
    _ record: SnapshotRecord, _ catalog: SnapshotCatalog, _ refused: Set<String> = []
  ) -> String {
    let taken = refused.union(catalog.snapshots.filter { $0.record.host == record.host }.map(\.record.name))
    return SnapshotNaming.choose(record.start, offset: record.utcOffset, summary: record.summary) {
      taken.contains($0)
    }
  }

  private static func describe(
    _ record: inout SnapshotRecord, _ options: BackupOptions, _ base: BaseTree?, _ catalog: SnapshotCatalog
  ) {
    record.host = options.host
    record.plan = options.plan
    record.kind = options.kind
    // The first of its plan has read everything, whatever was asked for.
    record.type = base == nil ? .full : options.type
    record.summary = options.summary
    record.creator = options.creator
    record.purpose = options.purpose
    record.notes = options.notes
    record.changeTicket = options.changeTicket
    record.tags = options.tags
    record.program = options.program
    record.utcOffset = record.start.localOffset
    record.base = base?.snapshot.id
    record.excludes = options.excludePatterns
    record.name = name(record, catalog)
  }

  /// The parts of one run and how they hang together.
  private final class Work {
    private let plan: SourcePlan
    private let progress: RunProgress
    private let chunks: ChunkWriter?
    private let recorder: LocalListings.Recorder?
    private let links: LinkTable
    private let walk: TreeWalk
    private let builder: TreeBuilder
    private let ingest: @Sendable () -> FileIngest
    private var streamed: StreamedTree?
    private let bytesRead = Counter()
    private let problems: ProblemCounter
    /// Nobody wants any more what is still being read.
    private let isGivenUp = CancellationFlag()

    init(
      _ repository: Repository, _ options: BackupOptions, _ base: BaseTree?, _ plan: SourcePlan,
      _ progress: RunProgress, _ listing: EntryListing?, _ problems: ProblemCounter
    ) throws {
      self.plan = plan
      self.progress = progress
      self.problems = problems
      let settings = Self.settings(options)
      let chunks = options.isDryRun ? nil : try ChunkWriter(repository, settings)
      self.chunks = chunks
      let recorder = options.isDryRun ? nil : Self.recorder(repository, options)
      self.recorder = recorder
      let keySet = repository.keyring.current
      let links = LinkTable(nextGroup: base?.snapshot.record.nextLinkGroup ?? 1)
      self.links = links
      let bytesRead = bytesRead
      let isGivenUp = isGivenUp
      let ingest: @Sendable () -> FileIngest = {
        FileIngest(
          keySet, isStopped: { progress.stop.isRaised || isGivenUp.isRaised },
          didRead: {
            bytesRead.add(UInt64($0))
            progress.add(bytes: UInt64($0))
          },
          didSkip: { progress.add(skippedBytes: $0) })
      }
      self.ingest = ingest
      let reads = chunks.map { chunks in
        FileReads(chunks, workers: settings.workers, recorder, progress) { SourceReader(ingest(), links) }
      }
      builder = TreeBuilder(
        TreeWriter(ChunkNamer(keySet), Sink(chunks, recorder)), reads, links, progress: progress, listing: listing
      ) {
        try problems.take($0)
      }
      let builder = builder
      streamed = options.streamedFile.map { StreamedTree($0, builder, base: base) }
      walk = TreeWalk(
        options, looker: SourceLooker(options, base: base, repository: repository), builder: builder,
        reads: reads, base: base, recorder: recorder, links: links, progress: progress,
        listsAll: listing?.isComplete ?? false)
    }

    private static func settings(_ options: BackupOptions) -> ChunkWriter.Settings {
      var settings = ChunkWriter.Settings()
      settings.level = options.compressionLevel
      if let workers = options.readConcurrency { settings.workers = workers }
      return settings
    }

    /// A write-only key keeps a copy of the listings for the next run; without a place for it, that run reads all.
    private static func recorder(_ repository: Repository, _ options: BackupOptions) -> LocalListings.Recorder? {
      guard repository.keyring.role == .writeOnly else { return nil }
      return try? LocalListings.Recorder(
        repository, path: LocalListings.path(repository, host: options.host, plan: options.plan))
    }

    private func tree() throws -> Entry {
      guard var streamed else { return try walk.run(plan) }
      guard let chunks else { throw YesterError(.usage, "A dry run cannot look at what comes through a stream") }
      return try streamed.run(chunks, recorder, ingest: ingest)
    }

    func run() throws -> SnapshotRecord {
      defer {
        isGivenUp.raise()
        chunks?.close()
      }
      let root: Entry
      do { root = try tree() } catch let stopped as Stopped {
        try? chunks?.flush()
        throw stopped
      } catch let error as Errno {
        throw YesterError.system("Reading", "/", error)
      }
      guard builder.hasEntries, builder.hasContent || problems.count == 0 else {
        throw problems.nothing(isExcluded: !builder.hasEntries && problems.count == 0)
      }
      progress.begin(.finish, entries: nil, bytes: nil)
      try chunks?.flush()
      try? recorder?.commit()
      var record = SnapshotRecord(root: root)
      record.counts = builder.counts
      record.counts.bytesRead = bytesRead.value
      record.counts.bytesNew = chunks?.totals.newBytes ?? 0
      record.counts.bytesStored = chunks?.totals.storedBytes ?? 0
      record.nextLinkGroup = links.nextGroup
      return record
    }
  }

  /// A number that several threads add to.
  private final class Counter: Sendable {
    private let sum = Atomic<UInt64>(0)
    var value: UInt64 { sum.load(ordering: .relaxed) }
    func add(_ more: UInt64) { sum.add(more, ordering: .relaxed) }
  }

  /// Hands listings to the repository, and to the local copy as well.
  private final class Sink: ChunkSink {
    private let chunks: ChunkWriter?
    private let recorder: LocalListings.Recorder?
    init(_ chunks: ChunkWriter?, _ recorder: LocalListings.Recorder?) {
      self.chunks = chunks
      self.recorder = recorder
    }
    func add(_ id: ObjectID, kind: ChunkKind, _ bytes: UnsafeRawBufferPointer) throws {
      try chunks?.add(id, kind: kind, bytes)
      if kind == .tree { recorder?.add(id, bytes) }
    }
    func move(to position: UInt64) throws { try chunks?.move(to: position) }
  }
}
