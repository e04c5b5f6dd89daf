internal import ChunkCodec
internal import Platform
package import Reporting
internal import RepositoryCore
package import RepositoryFormat
package import SnapshotTree
internal import Synchronization

/// Takes what a source has, entry by entry, and stores it. One thread, that of the source; memory does not depend on how
/// much comes, but for the depth of the tree.
///
/// `enter`, `add`, `store` and `leave` are all that most sources need. One that has the workers read its files, many at
/// a time, and takes over what did not change, speaks to `builder` instead, which takes answers that are still to come.
package final class SnapshotWriter {
  private struct Frame {
    let base: SnapshotNode?
    /// Length of the path without this directory's name.
    let pathLength: Int
    /// The name that came last in it.
    var last: [UInt8]?
  }

  /// Entries after which the progress is told of a path.
  private static let pathInterval: UInt64 = 256

  /// What the snapshot is compared with; nil for the first of its kind.
  package let base: BaseTree?
  package let progress: RunProgress
  /// What is told of here comes behind all that came through `add` and `leave` so far.
  package let builder: TreeBuilder
  package let links: LinkTable
  /// Somebody wants to know what is left out, too.
  package let listsAll: Bool
  /// Threads that read, compress and seal.
  package let workers: Int
  /// Makes what a thread reads with. For any thread.
  package let makeIngest: @Sendable () -> sending FileIngest

  private let chunks: ChunkWriter?
  private let recorder: LocalListings.Recorder?
  private let namer: ChunkNamer
  private let sink: RunSink
  private let problems: ProblemCounter
  /// For streams.
  private let ingests: Pool<FileIngest>
  private let bytesRead = Counter()
  /// Nobody wants any more what is still being read.
  private let isGivenUp = CancellationFlag()
  private var stack: [Frame] = []
  /// Of the entry at hand, without the slash in front.
  private var path: [UInt8] = []
  private var position: UInt64 = 0

  init(
    _ repository: Repository, _ options: SnapshotOptions, _ base: BaseTree?, _ progress: RunProgress,
    _ listing: EntryListing?, _ problems: ProblemCounter, uses: PackUses
  ) throws {
    self.base = base
    self.progress = progress
    self.problems = problems
    listsAll = listing?.isComplete ?? false
    let settings = Self.settings(options)
    workers = settings.workers
    chunks = options.isDryRun ? nil : try ChunkWriter(repository, settings, uses: uses)
    recorder = options.isDryRun ? nil : Self.recorder(repository, options)
    let keySet = repository.keyring.current
    namer = ChunkNamer(keySet)
    sink = RunSink(chunks, recorder)
    links = LinkTable(nextGroup: base?.snapshot.record.nextLinkGroup ?? 1)
    makeIngest = { [bytesRead, isGivenUp] in
      FileIngest(
        keySet, isStopped: { progress.stop.isRaised || isGivenUp.isRaised },
        didRead: {
          bytesRead.add(UInt64($0))
          progress.add(bytes: UInt64($0))
        },
        didSkip: { progress.add(skippedBytes: $0) })
    }
    ingests = Pool(makeIngest)
    builder = TreeBuilder(TreeWriter(namer, sink), links, progress: progress, listing: listing) {
      try problems.take($0)
    }
  }

  private static func settings(_ options: SnapshotOptions) -> ChunkWriter.Settings {
    var settings = ChunkWriter.Settings()
    settings.level = options.compressionLevel
    if let workers = options.readConcurrency { settings.workers = workers }
    settings.separatesOwners = options.separatesOwners
    return settings
  }

  /// A write-only key keeps a copy of the listings for the next run; without a place for it, that run reads all.
  private static func recorder(_ repository: Repository, _ options: SnapshotOptions) -> LocalListings.Recorder? {
    guard repository.keyring.role == .writeOnly else { return nil }
    return try? LocalListings.Recorder(
      repository, path: LocalListings.path(repository, host: options.host, plan: options.plan))
  }

  // MARK: Entries

  /// Begins a directory, which has the content and the counts that come until it is left. The first is the root, whose
  /// name is empty. Throws `YesterError` where its name does not come behind all that came in its directory, or where
  /// something about it could not be read again.
  package func enter(_ directory: Entry) throws {
    precondition(directory.isDirectory, "only a directory is entered")
    let length = path.count
    guard !stack.isEmpty else {
      try requireReadable(directory)
      stack.append(Frame(base: base?.reader.root, pathLength: 0))
      return try builder.take(.enter(directory, base: base?.reader.root))
    }
    let base = try meet(directory.name)
    try requireReadable(directory)
    guard stack.count < Limits.treeDepthMax - 1 else {
      throw YesterError(
        .failed, "The directory \(printable(path)) is nested too deeply",
        advice: "A tree may be \(Limits.treeDepthMax) directories deep.")
    }
    stack.append(Frame(base: base, pathLength: length))
    try builder.take(.enter(directory, base: base))
  }

  /// Ends the directory that was entered last. `isIncomplete`: something that is in it was left out.
  package func leave(isIncomplete: Bool = false) throws {
    guard let frame = stack.popLast() else { preconditionFailure("nothing is left that was not entered") }
    path.removeLast(path.count - frame.pathLength)
    try builder.take(.leave(isIncomplete: isIncomplete))
  }

  /// Anything but a directory; a file has a body that `store` gave, or an empty one. Gives back the entry as it is
  /// stored: of a file with a link count above 1 it names the file to `add(_:linkedTo:)`. Throws as `enter` does.
  @discardableResult
  package func add(_ entry: Entry) throws -> Entry {
    precondition(!entry.isDirectory, "a directory is entered")
    let length = path.count
    let base = try meet(entry.name)
    try requireReadable(entry)
    path.removeLast(path.count - length)
    var entry = entry
    entry.linkGroup = entry.linkCount > 1 ? links.group(of: entry, base: base?.entry) : nil
    try builder.take(.entry(entry, base: base))
    return entry
  }

  /// One more name of a file, which `add` gave back. Throws as `enter` does.
  package func add(_ name: [UInt8], linkedTo file: Entry) throws {
    precondition(file.linkGroup != nil, "a file of several names has a link count that says so")
    let length = path.count
    let base = try meet(name)
    path.removeLast(path.count - length)
    var entry = file
    entry.name = name
    try builder.take(.entry(entry, base: base))
  }

  /// Something that is not as it should be, in the directory that was entered last.
  package func note(_ problem: PathProblem) throws { try builder.take(.problem(problem)) }

  /// Has another source tell of what is in the directory at hand, which the builder was told of as `base` and `path`
  /// (without the slash in front). It begins with the first entry there, and leaves what it enters.
  package func write(_ part: (SnapshotWriter) throws -> Void, below base: SnapshotNode?, path: [UInt8]) throws {
    let (outerStack, outerPath) = (stack, self.path)
    stack = [Frame(base: base, pathLength: 0)]
    self.path = path
    try part(self)
    precondition(stack.count == 1, "a source leaves what it enters")
    (stack, self.path) = (outerStack, outerPath)
  }

  /// Takes the next name of the directory at hand and puts it to the path; what has this name in the base.
  private func meet(_ name: [UInt8]) throws -> SnapshotNode? {
    guard let top = stack.indices.last else { preconditionFailure("the root is entered first") }
    try progress.throwIfStopped()
    if !path.isEmpty { path.append(0x2F) }
    path.append(contentsOf: name)
    guard name.withUnsafeBytes({ isValidName($0) }) else {
      throw YesterError(
        .failed, "\(printable(path)) cannot be a path in a snapshot",
        advice:
          "No snapshot was made. A name has 1 to \(Limits.nameSizeMax) bytes, and neither a slash nor a zero byte.")
    }
    if let last = stack[top].last, !last.precedes(name) {
      throw YesterError(
        .failed, "\(printable(path)) came behind \(printable(last).dropFirst()), out of the order of names",
        advice: "No snapshot was made. What a source has must come sorted, and each name once.")
    }
    stack[top].last = name
    position += 1
    if position.isMultiple(of: Self.pathInterval) { progress.setPath(path) }
    return base?.child(name, of: stack[top].base)
  }

  /// What a source says of an entry may be anything; nothing is stored that nobody could read. `entry` is that at hand.
  private func requireReadable(_ entry: Entry) throws {
    var leaf = LeafBuilder()
    leaf.append(entry)
    let bytes = Bytes(leaf.finish())
    do {
      _ = try Leaf(BytesSlice(bytes, offset: 0, count: bytes.count), isRoot: stack.isEmpty)
    } catch {
      throw YesterError(
        .failed, "\(printable(path)) cannot be stored: \(error.message)",
        advice: "No snapshot was made. What its source says of it is no good.")
    }
  }

  // MARK: Content

  /// Begins a stream, stores what comes through it, and gives the body of a file that has it. Waits for its end; a worker
  /// reads. Throws what the stream throws, which is given up then.
  package func store(_ stream: any ByteStream) throws -> EntryBody {
    guard chunks != nil else { throw YesterError(.usage, "A dry run cannot look at what comes through a stream") }
    defer { stream.cancel() }
    try stream.start()
    let outcome = Monitor<Result<FileIngest.Result, any Error>?>(nil)
    try submit { [ingests, position] target in
      let result = Result {
        try target.lane.move(to: position)
        return try ingests.use { try $0.store(stream, to: target) }
      }
      outcome.update { $0 = result }
    }
    let stored = try outcome.wait { $0 }.get()
    try stream.finish()
    return .file(size: stored.size, content: stored.content)
  }

  /// Stores small content that is in memory already, without another thread, and gives the body of a file that has it.
  /// `bytes` has at most `smallContentMax`.
  package func store(_ bytes: [UInt8]) throws -> EntryBody {
    precondition(bytes.count <= Self.smallContentMax, "more than this comes through a stream")
    guard !bytes.isEmpty else { return .file(size: 0, content: .empty) }
    let digest = try bytes.withUnsafeBytes { raw in
      let (id, digest) = namer.name(raw, .data)
      try sink.move(to: position)
      try sink.add(id, kind: .data, raw)
      return digest
    }
    bytesRead.add(UInt64(bytes.count))
    progress.add(bytes: UInt64(bytes.count))
    return .file(size: UInt64(bytes.count), content: .single(digest))
  }
  /// In bytes: what is not cut.
  package static let smallContentMax = Chunker.wholeFileMax

  // MARK: For sources that read with workers

  /// Nothing is stored; entries are told as if.
  package var isDryRun: Bool { chunks == nil }

  /// Has a worker do `work`, which stores what it reads. Waits while much is waiting already.
  package func submit(_ work: @escaping @Sendable (FileIngest.Target) -> Void) throws {
    guard let chunks else { preconditionFailure("a dry run stores nothing") }
    try chunks.submit { [recorder] lane in
      work(FileIngest.Target(lane: lane, sink: LaneSink(lane, recorder)))
    }
  }

  /// To be told of each file that is taken over from the base. The local copy of listings has the lists of these as
  /// well: without them the next run would read those files again, as it does when this fails.
  package func keepLists(of entry: Entry) {
    guard let recorder, case .file(_, let content) = entry.body else { return }
    try? base?.forEachList(of: content) { recorder.add($0, $1) }
  }

  // MARK: The run

  /// Takes in the source and stores what is left; the record, without a description.
  func run(_ source: some SnapshotSource) throws -> SnapshotRecord {
    defer {
      isGivenUp.raise()
      chunks?.close()
    }
    let root = try tree(source)
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

  private func tree(_ source: some SnapshotSource) throws -> Entry {
    do {
      try source.write(to: self)
      return try builder.finish()
    } catch let stopped as Stopped {
      try? chunks?.flush()
      throw stopped
    } catch let error as Errno {
      throw YesterError.system("Reading", "/", error)
    }
  }
}

/// A number that several threads add to.
private final class Counter: Sendable {
  private let sum = Atomic<UInt64>(0)
  var value: UInt64 { sum.load(ordering: .relaxed) }
  func add(_ more: UInt64) { sum.add(more, ordering: .relaxed) }
}
