internal import Glibc
internal import LocalFiles
internal import Platform
internal import Reporting
internal import RepositoryFormat
internal import SnapshotTree
internal import SnapshotWriting

/// Walks the sources, in step with the base, and tells the builder of the new tree what it meets. Others scan ahead of
/// it, and others still read the files that may have changed. One thread; the depth of the tree is on a stack of its
/// own, and only so many directories are open at once.
final class TreeWalk {
  /// Of the entries that were scanned and are still to be visited, in all directories on the stack.
  private static let stackMemoryMax = 16 << 20
  /// A scan that is older than this is checked against the directory before it is used, in nanoseconds.
  private static let freshNanoseconds: Int64 = 100_000_000
  private static let pathInterval: UInt64 = 256
  private static let scanThreadsMax = 4

  private struct Frame {
    var scan: DirectoryScan
    var next = 0
    let base: SnapshotNode?
    /// What is to be taken of a directory on the way to a source; nil inside of one.
    let plan: SourcePlan?
    /// Length of the path without this directory's name.
    let pathLength: Int
  }

  private let scanner: DirectoryScanner
  private let prefetcher: ScanPrefetcher
  private let scanThreads: Int
  private let writer: SnapshotWriter
  private let builder: TreeBuilder
  /// Nil in a dry run, in which files are only scanned.
  private let reads: FileReads?
  private let base: BaseTree?
  private let links: LinkTable
  private let progress: RunProgress
  private var maker = EntryMaker()
  /// For a dry run, in which nothing is read but metadata.
  private lazy var reader = SourceReader(nil, links)
  private var stack: [Frame] = []
  /// Of the stack.
  private var directories = DirectoryStack()
  private var stackMemory = 0
  /// Nothing is held any more of the directories below this index of the stack.
  private var heldFrom = 0
  /// The path of the entry at hand, without the slash in front.
  private var path: [UInt8] = []
  private var visited: UInt64 = 0

  init(_ options: BackupOptions, scanner: DirectoryScanner, writer: SnapshotWriter) {
    self.scanner = scanner
    prefetcher = ScanPrefetcher(scanner)
    scanThreads = min(options.readConcurrency ?? System.processorCount, Self.scanThreadsMax)
    self.writer = writer
    builder = writer.builder
    reads = writer.isDryRun ? nil : FileReads(writer)
    base = writer.base
    links = writer.links
    progress = writer.progress
  }

  /// Walks everything, and waits until all of it was read. Once.
  func run(_ plan: SourcePlan) throws {
    prefetcher.start(threads: scanThreads)
    defer { prefetcher.close() }
    let planBelow = plan.isSource ? nil : plan
    let root = try Descriptor.open("/", Self.flags(planBelow))
    try enter([], scan(root, planBelow, base?.reader.root), base?.reader.root, planBelow)
    while let top = stack.indices.last {
      if stack[top].next < stack[top].scan.names.count {
        let index = stack[top].next
        stack[top].next += 1
        try visit(index)
      } else {
        try leave()
      }
    }
    try reads?.flush()
  }

  // MARK: Directories

  /// A directory on the way to sources need not be readable.
  private static func flags(_ plan: SourcePlan?) -> CInt {
    plan == nil ? Descriptor.directoryFlags : Descriptor.passageFlags
  }

  /// Scans the directory that has the path at hand.
  private func scan(
    _ directory: Descriptor, _ plan: SourcePlan?, _ base: SnapshotNode?
  ) throws(Errno) -> DirectoryScan {
    if let plan { return try scanner.scan(directory, path: path, only: plan.names) }
    let above = stack.last.flatMap { $0.plan == nil ? $0.scan.status : nil }
    var scan = try scanner.scan(directory, path: path, above: above, base: base)
    prefetcher.announce(&scan, path: path)
    return scan
  }

  private func enter(
    _ name: [UInt8], _ scan: DirectoryScan, _ base: SnapshotNode?, _ plan: SourcePlan?
  ) throws {
    var entry = maker.entry(
      name, scan.status, .directory(below: 0, listing: ObjectID.zero), attributes: scan.attributes)
    entry.isPartial = plan != nil
    guard stack.count < Limits.treeDepthMax - 1 else {
      throw YesterError(
        .failed, "The directory \(printable(path)) is nested too deeply",
        advice: "Exclude it with --exclude; a tree may be \(Limits.treeDepthMax) directories deep.")
    }
    makeRoom(for: scan)
    try directories.push(scan.directory, flags: Self.flags(plan))
    stack.append(
      Frame(
        scan: scan, base: base, plan: plan,
        pathLength: path.count - name.count - (path.count > name.count ? 1 : 0)))
    try builder.take(.enter(entry, base: base))
    for problem in scan.problems { try builder.take(.problem(problem)) }
  }

  /// With too much on the stack, gives up what was seen of the directories that the walk comes back to last; they are
  /// scanned again then.
  private func makeRoom(for scan: DirectoryScan) {
    stackMemory += scan.entriesMemory
    while stackMemory > Self.stackMemoryMax, heldFrom < stack.count {
      prefetcher.forget(stack[heldFrom].scan)
      stackMemory -= stack[heldFrom].scan.entriesMemory
      stack[heldFrom].scan.hold([], from: stack[heldFrom].next)
      heldFrom += 1
    }
  }

  /// Ends the directory on top.
  private func leave() throws {
    let frame = stack.removeLast()
    stackMemory -= frame.scan.entriesMemory
    heldFrom = min(heldFrom, stack.count)
    try builder.take(.leave(isIncomplete: frame.scan.isIncomplete))
    do throws(LostDirectory) {
      try directories.pop()
    } catch {
      throw YesterError.lost(above: printable(path), error, while: "it was read")
    }
    if !stack.isEmpty { path.removeLast(path.count - frame.pathLength) }
  }

  // MARK: Entries

  private func visit(_ index: Int) throws {
    try progress.throwIfStopped()
    let top = stack.count - 1
    let directory = stack[top].scan.directory.current
    let planBelow = stack[top].plan?.child(stack[top].scan.names[index]).flatMap { $0.isSource ? nil : $0 }
    var seen = scannedEntry(at: index, directory, planBelow)
    // What could not be scanned a while ago may be gone, or there again.
    if case .failed = seen.finding { seen = rescan(seen.name, directory, planBelow) }

    let length = path.count
    if !path.isEmpty { path.append(0x2F) }
    path.append(contentsOf: seen.name)
    visited += 1
    if visited.isMultiple(of: Self.pathInterval) { progress.setPath(path) }
    if try !visit(seen, directory, planBelow) { path.removeLast(path.count - length) }
  }

  /// What is seen at an index of the directory on top.
  private func scannedEntry(at index: Int, _ directory: Descriptor, _ planBelow: SourcePlan?) -> ScannedEntry {
    let top = stack.count - 1
    if stack[top].plan != nil { return rescan(stack[top].scan.names[index], directory, planBelow) }
    if index >= stack[top].scan.first + stack[top].scan.entries.count {
      stackMemory -= stack[top].scan.entriesMemory
      prefetcher.scanNext(of: &stack[top].scan, from: index, path: path, base: stack[top].base)
      stackMemory += stack[top].scan.entriesMemory
      heldFrom = min(heldFrom, top)
    }
    return stack[top].scan.entries[index - stack[top].scan.first]
  }

  /// Scans a name of the directory on top, which has the path at hand.
  private func rescan(_ name: [UInt8], _ directory: Descriptor, _ planBelow: SourcePlan?) -> ScannedEntry {
    scanner.scanEntry(
      name, UInt8(DT_UNKNOWN), in: directory, &path, base: stack[stack.count - 1].base,
      isOnTheWay: planBelow != nil)
  }

  /// Takes in what was seen at the path at hand. True for a directory that was entered.
  private func visit(_ seen: ScannedEntry, _ directory: Descriptor, _ planBelow: SourcePlan?) throws -> Bool {
    if isAtSource, planBelow == nil, let status = seen.finding.status,
      let problem = scanner.problem(withSource: status, path)
    {
      try builder.take(.problem(problem))
      return false
    }
    switch seen.finding {
    case .directory: return try visit(directory: seen, directory, planBelow)
    case .excluded:
      stack[stack.count - 1].scan.isIncomplete = true
      if writer.listsAll { try builder.take(.excluded(path: path)) }
    case .failed(let error): try problem(error, doing: "looking at it", nil)
    case _ where planBelow != nil: try problem(.notDirectory, doing: "looking for sources in it", seen.base)
    case .unread: try read(seen, directory)
    case .unchanged(let status):
      guard var entry = seen.base?.entry else { preconditionFailure("what is unchanged is in the base") }
      if status.isRegular { progress.add(skippedBytes: entry.size) }
      entry.linkGroup = nil
      writer.keepLists(of: entry)
      try take(entry, status, seen.base)
    case .seen(let status): if status.isRegular { try read(seen, directory) }
    case .special(let special):
      for problem in special.problems { try builder.take(.problem(problem)) }
      let entry = maker.entry(seen.name, special.status, special.body, attributes: special.attributes)
      try take(entry, special.status, seen.base)
    }
    return false
  }

  private func visit(directory seen: ScannedEntry, _ parent: Descriptor, _ plan: SourcePlan?) throws -> Bool {
    if let number = seen.number, let scan = prefetcher.take(number) {
      if isCurrent(scan, seen.name, parent) {
        try enter(seen.name, scan, seen.base, plan)
        return true
      }
      prefetcher.forget(scan)
    }
    let scan: DirectoryScan
    do throws(Errno) {
      let child = try SourceReader.open(seen.name, parent, Self.flags(plan))
      scan = try self.scan(child, plan, seen.base)
    } catch {
      return try visit(closed: seen, error, parent, plan)
    }
    try enter(seen.name, scan, seen.base, plan)
    return true
  }

  /// The walk may be held up for long, by files that are being read: meanwhile something else may have this name, or
  /// the directory other names in it.
  private func isCurrent(_ scan: DirectoryScan, _ name: [UInt8], _ parent: Descriptor) -> Bool {
    if System.bootClock - scan.time < Self.freshNanoseconds { return true }
    guard let now = try? FileStatus(of: name, at: parent) else { return false }
    let then = scan.status
    return now.identity == then.identity && now.changed == then.changed && now.modified == then.modified
  }

  /// A directory that cannot be opened, if it still is one.
  private func visit(
    closed seen: ScannedEntry, _ reason: Errno, _ parent: Descriptor, _ plan: SourcePlan?
  ) throws -> Bool {
    // Of the process, not of this directory: others would fail in the same way, and be left out one by one.
    if reason.isOfProcess { throw YesterError.system("Reading", printable(path), reason) }
    let length = path.count - seen.name.count
    path.removeLast(path.count - (length > 0 ? length - 1 : 0))
    let now = rescan(seen.name, parent, plan)
    if !path.isEmpty { path.append(0x2F) }
    path.append(contentsOf: seen.name)
    guard case .directory = now.finding else { return try visit(now, parent, plan) }
    let status: FileStatus
    do throws(Errno) {
      status = try FileStatus(of: seen.name, at: parent)
    } catch {
      try problem(error, doing: "looking at it", nil)
      return false
    }
    try builder.take(.problem(.of(reason, doing: "opening the directory", path, isSource: isAtSource)))
    var entry = maker.entry(seen.name, status, .directory(below: 0, listing: .zero), attributes: [])
    entry.isPartial = plan != nil
    try builder.take(.enter(entry, base: seen.base))
    try builder.take(.leave(isIncomplete: true))
    return false
  }

  /// An entry of which all is known.
  private func take(_ entry: Entry, _ status: FileStatus, _ base: SnapshotNode?) throws {
    guard status.linkCount > 1 else { return try builder.take(.entry(entry, base: base)) }
    try builder.take(.link(links.offer(LinkedFile(status), entry), name: entry.name, path: path, base: base))
  }

  /// Has a file read.
  private func read(_ seen: ScannedEntry, _ directory: Descriptor) throws {
    let request = FileRequest(name: seen.name, directory: directory, path: path, position: visited)
    guard let reads else {
      return try builder.take(
        .result(try reader.read(request, to: nil), name: seen.name, path: path, base: seen.base))
    }
    let (batch, index) = try reads.add(request)
    try builder.take(.file(batch, index: index, name: seen.name, path: path, base: seen.base))
  }

  // MARK: Problems

  private func problem(_ error: Errno, doing: String, _ base: SnapshotNode?) throws {
    if let base { try builder.take(.lost(base: base)) }
    try builder.take(.problem(.of(error, doing: doing, path, isSource: isAtSource)))
  }

  /// Whether what is at hand is a source itself, or on the way to one.
  private var isAtSource: Bool { stack.last?.plan != nil }
}
