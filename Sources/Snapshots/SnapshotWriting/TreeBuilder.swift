internal import Platform
package import Reporting
package import RepositoryFormat
package import SnapshotTree

/// Builds the new tree, from the bottom up, from what a source meets. The source goes on while files are read by others:
/// its steps wait here, and are taken in their order. One thread.
package final class TreeBuilder {
  package enum Step {
    /// A directory, without its listing. What follows is in it, until it is left.
    case enter(Entry, base: SnapshotNode?)
    /// `isIncomplete`: something was left out.
    case leave(isIncomplete: Bool)
    /// Anything else.
    case entry(Entry, base: SnapshotNode?)
    /// One more name of a file that the link table has.
    case link(LinkReference, name: [UInt8], path: [UInt8], base: SnapshotNode?)
    /// A file that somebody reads.
    case file(PendingBatch, index: Int, name: [UInt8], path: [UInt8], base: SnapshotNode?)
    /// The same when it has been read already.
    case result(FileResult, name: [UInt8], path: [UInt8], base: SnapshotNode?)
    /// Something of the base that was met again and could not be stored.
    case lost(base: SnapshotNode)
    /// Rules leave it out.
    case excluded(path: [UInt8])
    /// Of something in the directory that was entered last.
    case problem(PathProblem)

    var pathBytes: Int {
      switch self {
      case .link(_, _, let path, _), .file(_, _, _, let path, _), .result(_, _, let path, _): path.count
      case .excluded(let path): path.count
      case .problem(let problem): problem.path.count
      default: 0
      }
    }
  }
  private struct Frame {
    var entry: Entry
    let base: SnapshotNode?
    var listing = ListingBuilder()
    /// Entries of the base's directory that were met again, with all below them.
    var matched: UInt64 = 0
  }

  /// Steps that wait for a file; some hundred bytes each, and their paths.
  private static let stepsMax = 4096
  private static let pathBytesMax = 8 << 20

  private let writer: TreeWriter
  private let links: LinkTable
  private let progress: RunProgress
  private let listing: EntryListing?
  private let report: (PathProblem) throws -> Void
  private var steps: [Step] = []
  private var next = 0
  /// Bytes of the paths in steps that were not taken yet.
  private var pathBytes = 0
  private var stack: [Frame] = []
  private var root: Entry?
  package private(set) var counts = SnapshotCounts()
  /// Something of a source is in the tree, though perhaps nothing but a directory that could not be read.
  package private(set) var hasEntries = false
  /// Something is in the tree that could be read.
  package private(set) var hasContent = false

  /// `report` is told of problems, in the order of the tree; what it throws ends the run.
  package init(
    _ writer: TreeWriter, _ links: LinkTable, progress: RunProgress, listing: EntryListing?,
    report: @escaping (PathProblem) throws -> Void
  ) {
    self.writer = writer
    self.links = links
    self.progress = progress
    self.listing = listing
    self.report = report
  }

  /// Entries of a directory come in the order of their names: nobody looks at that here. Throws what ended the reading of
  /// a file, `YesterError` when storing fails, and what `report` throws.
  package func take(_ step: Step) throws {
    steps.append(step)
    pathBytes += step.pathBytes
    try advance(leaving: Self.stepsMax)
  }

  /// The root's entry, when the source has left it. Waits for all files.
  package func finish() throws -> Entry {
    try advance(leaving: 0)
    guard let root else { preconditionFailure("the source has left the root") }
    return root
  }

  /// Takes the steps that wait for nothing, and waits for others while more than `leaving` are there.
  private func advance(leaving: Int) throws {
    while next < steps.count {
      if case .file(let pending, _, _, _, _) = steps[next], !(pending.batch?.isDone ?? false),
        steps.count - next <= leaving, pathBytes <= Self.pathBytesMax
      {
        break
      }
      let step = steps[next]
      // Its place stays until many can be removed at once.
      steps[next] = .leave(isIncomplete: false)
      pathBytes -= step.pathBytes
      next += 1
      try perform(step)
    }
    if next == steps.count || next >= Self.stepsMax {
      steps.removeFirst(next)
      next = 0
    }
  }

  private func perform(_ step: Step) throws {
    switch step {
    case .enter(let entry, let base):
      match(base)
      stack.append(Frame(entry: entry, base: base))
    case .leave(let isIncomplete): try leave(isIncomplete)
    case .entry(let entry, let base):
      match(base)
      try store(entry, base)
    case .link(let file, let name, let path, let base):
      match(base)
      try storeLink(file, name, path, base)
    case .file(let pending, let index, let name, let path, let base):
      match(base)
      try finish(try pending.requireBatch().result(index), name, path, base)
    case .result(let result, let name, let path, let base):
      match(base)
      try finish(result, name, path, base)
    case .lost(let base): match(base)
    case .excluded(let path): listing?.tell(EntryEvent(.excluded, path))
    case .problem(let problem): try note(problem)
    }
  }

  private func match(_ base: SnapshotNode?) {
    if let base, !stack.isEmpty { stack[stack.count - 1].matched += 1 + base.entry.below }
  }

  private func finish(_ result: FileResult, _ name: [UInt8], _ path: [UInt8], _ base: SnapshotNode?) throws {
    for problem in result.problems { try note(problem) }
    switch result.outcome {
    case .entry(let entry): try store(entry, base)
    case .linked(let file): try storeLink(file, name, path, base, isReported: !result.problems.isEmpty)
    case .none:
      // Something is there, and the snapshot has not got it.
      if result.problems.contains(where: { $0.kind == .changed }) { stack[stack.count - 1].entry.isIncomplete = true }
    }
  }

  /// `isReported`: why there may be nothing was said already.
  private func storeLink(
    _ file: LinkReference, _ name: [UInt8], _ path: [UInt8], _ base: SnapshotNode?, isReported: Bool = false
  ) throws {
    if let entry = links.meet(file, name: name, base: base?.entry) { return try store(entry, base) }
    if !isReported { try note(PathProblem(.unreadable, path, "it cannot be read, as under another of its names")) }
  }

  /// Reports a problem; where something is missing now, the directory says so.
  private func note(_ problem: PathProblem) throws {
    switch problem.kind {
    case .unreadable, .missing:
      if !stack.isEmpty { stack[stack.count - 1].entry.isIncomplete = true }
      counts.unreadable += 1
    case .metadata: counts.unreadable += 1
    case .damaged, .changed, .vanished, .skipped, .remark: break
    }
    if problem.kind == .skipped, let listing, listing.isComplete {
      listing.tell(EntryEvent(.skipped, problem.path, type: .directory, reason: problem.message))
    }
    try report(problem)
  }

  private func leave(_ isIncomplete: Bool) throws {
    var frame = stack.removeLast()
    try writer.move(to: counts.entries)
    try writer.setOwner(frame.entry.owner.user)
    let (listing, below) = try frame.listing.finish(writer)
    frame.entry.body = .directory(below: below, listing: listing)
    if isIncomplete { frame.entry.isIncomplete = true }
    if let base = frame.base, base.entry.isDirectory { counts.deleted += base.entry.below - frame.matched }
    count(frame.entry, frame.base)
    counts.directories += 1
    if !frame.entry.isPartial {
      hasEntries = true
      if below > 0 || !frame.entry.isIncomplete { hasContent = true }
    }
    if stack.isEmpty { root = frame.entry } else { try stack[stack.count - 1].listing.append(frame.entry, writer) }
  }

  private func store(_ entry: Entry, _ base: SnapshotNode?) throws {
    if let base, base.entry.isDirectory { counts.deleted += base.entry.below }
    hasEntries = true
    hasContent = true
    count(entry, base)
    switch entry.body {
    case .file(let size, _):
      counts.files += 1
      counts.bytes.addClamped(size)
    case .symbolicLink: counts.links += 1
    case .directory: break
    default: counts.others += 1
    }
    try stack[stack.count - 1].listing.append(entry, writer)
  }

  private func count(_ entry: Entry, _ base: SnapshotNode?) {
    counts.entries += 1
    progress.add(entries: 1)
    guard let old = base?.entry, old.type == entry.type else {
      counts.added += 1
      if base != nil { counts.deleted += 1 }
      tell(.added, entry)
      return
    }
    var comparable = entry
    // A directory's listing differs with anything below it; what counts is the directory itself.
    if entry.isDirectory { comparable.body = old.body }
    if comparable == old { counts.unchanged += 1 } else { counts.modified += 1 }
    tell(comparable == old ? .unchanged : .modified, entry)
  }

  /// `entry` is one of the directory on top.
  private func tell(_ kind: EntryEvent.Kind, _ entry: Entry) {
    guard let listing, listing.isComplete || kind != .unchanged else { return }
    // The root has no name.
    var path = stack.dropFirst().reduce(into: [UInt8]()) { $0 += $1.entry.name + [0x2F] }
    path += entry.name
    listing.tell(EntryEvent(kind, path, entry))
  }
}
