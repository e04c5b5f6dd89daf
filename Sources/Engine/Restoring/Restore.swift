internal import RepositoryFormat
internal import RepositoryCore
internal import Glibc
package import LocalFiles
package import Platform
package import Reporting
package import SnapshotTree

/// Brings files back from a snapshot.
package enum Restore {
  package struct Options: Sendable {
    /// Also delete what is not in the snapshot, below the restored directory only.
    package var deletes = false
    /// What must stay where it is: the repository and the cache.
    package var protected = ProtectedDirectories()
    package init() {}
  }

  /// A planned restore, ready to be carried out once.
  package struct Prepared {
    package let plan: RestorePlan
    fileprivate let reader: SnapshotReader
    fileprivate let destination: Descriptor
    /// The path of the destination, for messages.
    fileprivate let rootPath: String
  }

  /// Plans to restore `path` of a snapshot (empty for all of it) into the directory `destination`, which is made when
  /// it is not there: a directory's content comes to lie in it, anything else under its own name.
  package static func prepare(
    _ reader: SnapshotReader, path: [UInt8], into destination: String, _ options: Options, progress: RunProgress,
    listing: EntryListing? = nil
  ) throws -> Prepared {
    guard let node = try reader.node(at: path) else {
      throw YesterError(
        .failed,
        "The snapshot \(reader.snapshot.record.name) holds no \(printable(path.drop { $0 == 0x2F }.map { $0 }))",
        advice: "Look with \"yester ls\" or \"yester find\".")
    }
    guard !options.protected.holds(destination) else {
      throw YesterError(
        .failed, "\(destination) is inside of the repository or of yester's cache", advice: "Choose another directory.")
    }
    beginComparing(reader, node, progress)
    do {
      try Directory.makeAll(destination, mode: 0o755)
      let directory = try open(destination, isListed: options.deletes)
      let planner = RestorePlanner(
        reader, rootPath: destination, deletes: options.deletes, protecting: options.protected, progress: progress,
        listing: listing)
      let plan =
        node.entry.isDirectory
        ? try planner.run(node, onto: directory, setsRootMetadata: !node.entry.isPartial)
        : try planner.run(single: node, named: node.entry.name, in: directory)
      return Prepared(plan: plan, reader: reader, destination: directory, rootPath: destination)
    } catch let error as Errno {
      throw YesterError.system("Restoring to", destination, error)
    }
  }

  /// The destination may be one that the user may pass through and not list, unless something is to be deleted there.
  private static func open(_ destination: String, isListed: Bool) throws(Errno) -> Descriptor {
    do throws(Errno) {
      return try Descriptor.open(destination, Descriptor.directoryFlags & ~Descriptor.noFollow)
    } catch {
      guard error == .denied, !isListed else { throw error }
      return try Descriptor.open(destination, Descriptor.passageFlags & ~Descriptor.noFollow)
    }
  }

  /// How many bytes a part of a snapshot has is known for all of it alone.
  private static func beginComparing(_ reader: SnapshotReader, _ node: SnapshotNode, _ progress: RunProgress) {
    let counts = reader.snapshot.record.counts
    let entries = 1 + node.entry.below
    let share = min(1, Double(entries) / Double(max(1, counts.entries)))
    progress.begin(.compare, entries: entries, bytes: UInt64(clamping: Double(counts.bytes) * share))
  }

  /// Plans to bring one live path back: exactly that, and nothing beside it.
  package static func prepare(
    _ reader: SnapshotReader, path: [UInt8], inPlace parent: Descriptor, name: [UInt8], _ options: Options,
    progress: RunProgress
  ) throws -> Prepared {
    guard let node = try reader.node(at: path), node.number != 0 else {
      throw YesterError(
        .failed,
        "The snapshot \(reader.snapshot.record.name) holds no \(printable(path.drop { $0 == 0x2F }.map { $0 }))",
        advice: "Look with \"yester versions\" which snapshots hold it.")
    }
    guard !node.entry.isPartial else {
      throw YesterError(
        .failed, "Only parts of \(printable(path.drop { $0 == 0x2F }.map { $0 })) are in that snapshot",
        advice: "Roll back one of the paths that were backed up.")
    }
    beginComparing(reader, node, progress)
    let rootPath = printable(path.drop { $0 == 0x2F }.dropLast(name.count + 1).map { $0 })
    let planner = RestorePlanner(
      reader, rootPath: rootPath, deletes: options.deletes, protecting: options.protected, progress: progress)
    let plan = try planner.run(single: node, named: name, in: parent)
    return Prepared(plan: plan, reader: reader, destination: parent, rootPath: rootPath)
  }

  /// Proves that all that the plan will write is stored and sound; throws before anything was touched otherwise.
  package static func prove(_ prepared: Prepared, progress: RunProgress) throws {
    let content = FileContentReader(tree: prepared.reader.tree, keySet: prepared.reader.snapshot.keySet)
    progress.begin(.prove, entries: prepared.plan.creates + prepared.plan.replaces, bytes: prepared.plan.bytes)
    for action in prepared.plan.actions where action.entries > 0 {
      guard let number = action.number, let node = try prepared.reader.node(number) else { continue }
      try prepared.reader.walk(from: node) { node, _ in
        try progress.throwIfStopped()
        progress.add(entries: 1)
        guard case .file(let size, let body) = node.entry.body else { return true }
        try content.forEachPiece(of: body, size: size, from: 0) { _, piece in
          if let chunk = piece.chunk { _ = try content.chunk(chunk, length: piece.length) }
          progress.add(bytes: piece.length)
          return true
        }
        return true
      }
    }
  }

  /// How a restore ended.
  package struct Outcome: Sendable {
    /// Paths that could not be restored: each was reported, but for those of `unmade`.
    package var failures = 0
    /// Entries that the destination has no place for, by kind.
    package var unmade: [UnmadeEntries.Count] = []
    /// What is there, and lacks something.
    package var losses: [RestoreLosses.Loss] = []
  }

  /// Carries the plan out. `listing` is told of what was done, a directory behind its content.
  package static func carryOut(
    _ prepared: Prepared, progress: RunProgress, listing: EntryListing? = nil, report: @escaping (PathProblem) -> Void
  ) throws -> Outcome {
    progress.begin(
      .restore, entries: prepared.plan.actions.reduce(0) { $0 + max(1, $1.entries) }, bytes: prepared.plan.bytes)
    let executor = try RestoreExecutor(
      prepared.reader, onto: prepared.destination, rootPath: prepared.rootPath, progress: progress, listing: listing,
      report: report)
    try executor.run(prepared.plan)
    return Outcome(failures: executor.failures, unmade: executor.unmade.all, losses: executor.losses.all)
  }
}
