internal import RepositoryCore
internal import ChunkCodec
internal import Glibc
internal import Platform
internal import Reporting
internal import RepositoryFormat
internal import SnapshotTree

/// Carries a plan out, step by step and nothing else. One thread, for which others make files; what has to come after
/// these waits its turn.
final class RestoreExecutor {
  private let reader: SnapshotReader
  /// The destination, for messages.
  private let rootPath: String
  /// So many in a row, and the whole disk is at fault.
  private static let inputOutputErrorsMax = 20
  private var inputOutputErrors = 0
  private let live: LiveTree
  private let writer: EntryWriter
  private let progress: RunProgress
  private let listing: EntryListing?
  private let report: (PathProblem) -> Void
  private let making: FileMaking
  /// What is under way and what waits for it, in order.
  private var pending: [Pending] = []
  /// Each may keep a directory open.
  private static let pendingMax = 128
  /// Where the first member of each link group lies.
  private var links: [LinkIdentity: [UInt8]] = [:]
  /// What is being made in the place of something else: until it is whole, it lies at `temporary`. All paths are those
  /// that are meant, and nothing is listed until it is there.
  private var replacing: (path: [UInt8], temporary: [UInt8])?
  private(set) var failures = 0
  /// What could be made, and lacks something.
  let losses = RestoreLosses()
  /// What the destination has no place for at all.
  private(set) var unmade = UnmadeEntries()

  private enum Pending {
    case files(FileMakingBatch)
    /// A directory whose content is there when this is reached.
    case finish(Entry, name: [UInt8], above: Descriptor, path: [UInt8])
    /// One more name of a file.
    case link(SnapshotNode, name: [UInt8], directory: Descriptor, path: [UInt8])
  }

  /// Throws when there is no room for the threads that make files.
  init(
    _ reader: SnapshotReader, onto destination: Descriptor, rootPath: String, progress: RunProgress,
    listing: EntryListing?,
    report: @escaping (PathProblem) -> Void
  ) throws(YesterError) {
    self.reader = reader
    self.rootPath = rootPath
    self.progress = progress
    self.listing = listing
    self.report = report
    live = LiveTree(destination)
    let content = FileContentReader(tree: reader.tree, keySet: reader.snapshot.keySet, believesWriters: true)
    writer = EntryWriter(content, progress: progress, losses: losses)
    making = try FileMaking(content, progress: progress, losses: losses, lists: listing != nil)
  }

  func run(_ plan: RestorePlan) throws {
    // Whatever happens, nobody writes any more when this returns.
    defer { making.close() }
    links = plan.keptLinks
    for problem in plan.problems where problem.kind == .unreadable {
      failures += 1
      report(problem)
    }
    for action in plan.actions {
      try progress.throwIfStopped()
      if action.kind != .create { try settle() }
      try attempt(action.path) { try carryOut(action) }
      if action.entries == 0 { progress.add(entries: 1) }
    }
    try settle()
  }

  // MARK: What is under way

  private func take(_ step: Pending) throws {
    pending.append(step)
    try advance(leaving: Self.pendingMax)
  }

  /// Waits for all that is under way.
  private func settle() throws {
    making.flush()
    try advance(leaving: 0)
  }

  /// Does what waits for nothing, and waits while more than `leaving` steps are there.
  private func advance(leaving: Int) throws {
    var done = 0
    defer { pending.removeFirst(done) }
    while done < pending.count {
      let step = pending[done]
      if case .files(let batch) = step, !batch.isDone {
        if pending.count - done <= leaving { return }
        making.flush()
      }
      done += 1
      try perform(step)
    }
  }

  private func perform(_ step: Pending) throws {
    switch step {
    case .files(let batch):
      let outcome = batch.wait()
      for made in outcome.made { tell(made) }
      for failure in outcome.failures {
        let link = failure.task.entry.link
        if let link, links[link] == failure.task.path { links[link] = nil }
        try attempt(failure.task.path) { throw failure.error }
      }
    case .finish(let entry, let name, let above, let path):
      writer.setMetadata(entry, name, at: above, path: path)
      tell(EntryEvent(.created, path, entry))
    case .link(let node, let name, let directory, let path):
      progress.add(entries: 1)
      try attempt(path) {
        let before = failures
        try makeLink(node, name, directory, path)
        if failures == before { tell(EntryEvent(.created, path, node.entry)) }
      }
    }
  }

  private func tell(_ event: @autoclosure () -> EntryEvent) {
    if let listing, replacing == nil { listing.tell(event()) }
  }

  /// Runs one step; what goes wrong with one path does not keep the others from being restored, but a full disk, a
  /// lost repository, a destination that is gone or a stop does.
  private func attempt(_ path: [UInt8], _ body: () throws -> Void) throws {
    do {
      try body()
      inputOutputErrors = 0
    } catch let error as Errno {
      inputOutputErrors = error == .inputOutput ? inputOutputErrors + 1 : 0
      if Self.isOfTheDisk(error) || inputOutputErrors > Self.inputOutputErrorsMax {
        throw YesterError.system("Restoring", rootPath + printable(path), error)
      }
      failures += 1
      report(PathProblem(.unreadable, path, Self.explanation(of: error, path)))
    } catch let error as YesterError where error.code == .damaged {
      failures += 1
      report(PathProblem(.damaged, path, "restoring it failed: \(error.message)"))
    }
  }

  /// Every other path would meet the same.
  private static func isOfTheDisk(_ error: Errno) -> Bool {
    [
      .noSpace, .overQuota, .readOnly, .notConnected, .connectionAborted, .noDevice, .noSuchDevice, .shutDown, .stale,
    ].contains(error)
  }

  private static func explanation(of error: Errno, _ path: [UInt8]) -> String {
    let name = path[(path.lastIndex(of: 0x2F).map { $0 + 1 } ?? path.startIndex)...]
    return switch error {
    case .exists:
      "its name is taken: it is the same as another one's on this file system (such as one that differs in case "
        + "alone), or something came there meanwhile; nothing was overwritten"
    case .tooLarge: "restoring it failed: it is larger than a file of this file system can be"
    case .notFound, .invalid, .notPermitted, .denied, .illegalBytes, .nameTooLong, .inputOutput:
      UnmadeEntries.isOdd(Array(name))
        ? "restoring it failed: the file system may not be able to hold a file of this name (\(error))"
        : "restoring it failed: \(error)"
    default: "restoring it failed: \(error)"
    }
  }

  private func carryOut(_ action: RestoreAction) throws {
    let (parent, name) = try live.parent(action.path)
    switch action.kind {
    case .delete:
      try LiveTree.remove(name, at: parent)
      live.forgetPosition()
      tell(EntryEvent(.deleted, action.path))
    case .create: try create(try node(action), name, parent, action.path)
    case .replace: try replace(try node(action), name, parent, action.path)
    case .setMetadata, .finishDirectory:
      let entry = try node(action).entry
      if let link = entry.link, links[link] == nil { links[link] = action.path }
      if action.path.isEmpty {
        writer.setMetadata(entry, [0x2E], at: live.root, path: [])
      } else {
        writer.setMetadata(entry, name, at: parent, path: action.path)
      }
      if action.kind == .setMetadata { tell(EntryEvent(.metadata, action.path, entry)) }
    }
  }

  private func node(_ action: RestoreAction) throws -> SnapshotNode {
    guard let number = action.number, let node = try reader.node(number) else {
      throw YesterError(.damaged, "The snapshot has lost an entry that it had a moment ago")
    }
    return node
  }

  /// What is new is made beside the old and takes its place at the end: at every moment one of them is there.
  private func replace(_ node: SnapshotNode, _ name: [UInt8], _ parent: Descriptor, _ path: [UInt8]) throws {
    // The name follows from that of the file: what an interrupted restore left is found and taken away.
    let temporary = Array(".yester-\(SHA256.hash(name).hex.prefix(16))".utf8)
    do {
      if (try? FileStatus(of: temporary, at: parent)) != nil { try LiveTree.remove(temporary, at: parent) }
      let before = failures
      let above = path.lastIndex(of: 0x2F).map { Array(path[...$0]) } ?? []
      do {
        replacing = (path, above + temporary)
        defer { replacing = nil }
        try create(node, temporary, parent, path)
        try settle()
      }
      guard failures == before else { return try keepOld(node, temporary, parent, path) }
      let wasDirectory = try FileStatus(of: name, at: parent).isDirectory
      if wasDirectory || node.entry.isDirectory {
        try exchange(temporary, name, parent)
      } else {
        try FileSystem.rename(temporary, at: parent, to: name, at: parent)
      }
      try tellReplaced(node, path)
    } catch {
      forgetLinks(under: path)
      // Nobody may make files any more in what is to go.
      making.flush()
      for case .files(let batch) in pending { _ = batch.wait() }
      try? LiveTree.remove(temporary, at: parent)
      throw error
    }
  }

  /// What is there stays when what should take its place is not whole.
  private func keepOld(_ node: SnapshotNode, _ temporary: [UInt8], _ parent: Descriptor, _ path: [UInt8]) throws {
    forgetLinks(under: path)
    // A file that failed is gone by itself.
    if (try? FileStatus(of: temporary, at: parent)) != nil { try LiveTree.remove(temporary, at: parent) }
    guard node.entry.isDirectory else { return }
    failures += 1
    report(
      PathProblem(
        .unreadable, path,
        "what is there stays as it is: not all of the directory that was to take its place was made"))
  }

  /// Puts what is at `temporary` in the place of what is at `name`, which goes.
  private func exchange(_ temporary: [UInt8], _ name: [UInt8], _ parent: Descriptor) throws {
    do {
      try FileSystem.rename(temporary, at: parent, to: name, at: parent, .exchange)
      return try LiveTree.remove(temporary, at: parent)
    } catch let error as Errno {
      guard [.invalid, .notSupported, .notImplemented].contains(error) else { throw error }
    }
    // Where two names cannot be exchanged in one step, the old one steps aside first.
    let aside = temporary + Array(".old".utf8)
    if (try? FileStatus(of: aside, at: parent)) != nil { try LiveTree.remove(aside, at: parent) }
    try FileSystem.rename(name, at: parent, to: aside, at: parent)
    do throws(Errno) {
      try FileSystem.rename(temporary, at: parent, to: name, at: parent)
    } catch {
      try FileSystem.rename(aside, at: parent, to: name, at: parent)
      throw error
    }
    try LiveTree.remove(aside, at: parent)
  }

  /// A directory that took the place of something else came with all in it.
  private func tellReplaced(_ node: SnapshotNode, _ path: [UInt8]) throws {
    guard let listing else { return }
    try reader.walk(from: node) { child, below in
      if !below.isEmpty { listing.tell(EntryEvent(.created, path + [0x2F] + below, child.entry)) }
      return true
    }
    listing.tell(EntryEvent(.replaced, path, node.entry))
  }

  private func forgetLinks(under path: [UInt8]) {
    for (link, first) in links where Self.isPath(first, atOrBelow: path) { links[link] = nil }
  }

  /// Where what is meant to be at a path lies at present.
  private func location(of path: [UInt8]) -> [UInt8] {
    guard let replacing, Self.isPath(path, atOrBelow: replacing.path) else { return path }
    return replacing.temporary + path[replacing.path.count...]
  }

  private static func isPath(_ path: [UInt8], atOrBelow top: [UInt8]) -> Bool {
    path.starts(with: top) && (path.count == top.count || path[top.count] == 0x2F)
  }

  // MARK: Making trees

  private struct Level {
    let node: SnapshotNode
    let name: [UInt8]
    let path: [UInt8]
    let directory: OpenDirectory
    var position: UInt64 = 0
  }

  private func create(_ node: SnapshotNode, _ name: [UInt8], _ parent: Descriptor, _ path: [UInt8]) throws {
    guard let top = try begin(node, name, parent, path) else { return }
    var stack = [top]
    var directories = DirectoryStack()
    try directories.push(top.directory, flags: Descriptor.directoryFlags)
    while let level = stack.last {
      try progress.throwIfStopped()
      let directory = level.directory.current
      var below: Level?
      var position = level.position
      try reader.forEachChild(of: level.node, from: level.position) { child, at in
        position = at + 1
        let childPath = level.path + [0x2F] + child.entry.name
        try attempt(childPath) { below = try begin(child, child.entry.name, directory, childPath) }
        return below == nil
      }
      stack[stack.count - 1].position = position
      if let below {
        try directories.push(below.directory, flags: Descriptor.directoryFlags)
        stack.append(below)
        continue
      }
      stack.removeLast()
      do throws(LostDirectory) {
        try directories.pop()
      } catch {
        throw YesterError.lost(above: rootPath + printable(level.path), error, while: "it was restored")
      }
      let above = directories.top ?? parent
      try take(.finish(level.node.entry, name: level.name, above: above, path: level.path))
    }
  }

  /// Makes one entry; a directory is returned, to be filled and then finished.
  private func begin(
    _ node: SnapshotNode, _ name: [UInt8], _ parent: Descriptor, _ path: [UInt8]
  ) throws -> Level? {
    let entry = node.entry
    if let link = entry.link {
      guard links[link] == nil else {
        try take(.link(node, name: name, directory: parent, path: path))
        return nil
      }
      links[link] = path
    }
    if case .file = entry.body {
      if let batch = making.add(FileTask(entry: entry, name: name, directory: parent, path: path)) {
        try take(.files(batch))
      }
      return nil
    }
    progress.add(entries: 1)
    progress.setPath(path)
    let before = failures
    let level = try makeOther(node, name, parent, path)
    // What there is no place for was counted, and not made.
    if level == nil, failures == before { tell(EntryEvent(.created, path, entry)) }
    return level
  }

  /// Anything but a file.
  private func makeOther(
    _ node: SnapshotNode, _ name: [UInt8], _ parent: Descriptor, _ path: [UInt8]
  ) throws -> Level? {
    let entry = node.entry
    do {
      try writer.make(entry, name, at: parent)
    } catch {
      if let link = entry.link { links[link] = nil }
      if !entry.isDirectory, (error as? Errno) != .exists { try? FileSystem.removeFile(name, at: parent) }
      if let error = error as? Errno, unmade.count(entry, error, path) {
        failures += 1
        return nil
      }
      throw error
    }
    if entry.isDirectory {
      let directory = try Descriptor.open(name, at: parent, Descriptor.directoryFlags)
      return Level(node: node, name: name, path: path, directory: OpenDirectory(directory))
    }
    writer.setMetadata(entry, name, at: parent, path: path)
    return nil
  }

  /// One more name for a file that is there by now; the file itself where making it failed under its first name.
  private func makeLink(_ node: SnapshotNode, _ name: [UInt8], _ parent: Descriptor, _ path: [UInt8]) throws {
    guard let link = node.entry.link else { return }
    if let first = links[link] {
      let (directory, firstName) = try LiveTree(live.root).parent(location(of: first))
      do throws(Errno) {
        return try FileSystem.makeLink(from: firstName, at: directory, to: name, at: parent)
      } catch {
        guard [.notPermitted, .notSupported, .notImplemented, .tooManyNames].contains(error) else { throw error }
        // A file of its own has the same content. Where links are refused for another reason, so is this.
        try makeAnew(node, name, parent, path)
        return losses.add(.hardLinks, path, error)
      }
    }
    links[link] = path
    do {
      try makeAnew(node, name, parent, path)
    } catch {
      links[link] = nil
      throw error
    }
  }
  private func makeAnew(_ node: SnapshotNode, _ name: [UInt8], _ parent: Descriptor, _ path: [UInt8]) throws {
    if case .file = node.entry.body {
      try writer.makeWhole(node.entry, name, at: parent, path: path)
    } else {
      _ = try makeOther(node, name, parent, path)
    }
  }
}
