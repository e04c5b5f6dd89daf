internal import ChunkCodec
internal import Glibc
internal import Platform
internal import RepositoryFormat
internal import RepositoryStore
internal import SnapshotTree

/// Carries a plan out, step by step and nothing else. One thread.
final class RestoreExecutor {
  private static let openDirectoriesMax = 256

  private let reader: SnapshotReader
  private let live: LiveTree
  private let writer: EntryWriter
  private let progress: RunProgress
  private let report: (PathProblem) -> Void
  /// Where the first member of each link group lies.
  private var links: [UInt64: [UInt8]] = [:]
  private(set) var failures = 0

  init(
    _ reader: SnapshotReader, onto destination: Descriptor, progress: RunProgress,
    report: @escaping (PathProblem) -> Void
  ) {
    self.reader = reader
    self.progress = progress
    self.report = report
    live = LiveTree(destination)
    writer = EntryWriter(
      FileContentReader(tree: reader.tree, keySet: reader.snapshot.keySet), progress: progress, report: report)
  }

  func run(_ plan: RestorePlan) throws {
    for action in plan.actions {
      try progress.throwIfStopped()
      try attempt(action.path) { try carryOut(action) }
    }
  }

  /// Runs one step; what goes wrong with one path does not keep the others from being restored, but a full disk, a
  /// lost repository or a stop does.
  private func attempt(_ path: [UInt8], _ body: () throws -> Void) throws {
    do { try body() } catch let error as Errno {
      if [.noSpace, .overQuota, .readOnly].contains(error) {
        throw YesterError.system("Restoring", printable(path), error)
      }
      failures += 1
      report(PathProblem(.unreadable, path, "restoring it failed: \(error)"))
    } catch let error as YesterError where error.code == .damaged {
      failures += 1
      report(PathProblem(.damaged, path, "restoring it failed: \(error.message)"))
    }
  }

  private func carryOut(_ action: RestoreAction) throws {
    let (parent, name) = try live.parent(action.path)
    switch action.kind {
    case .delete:
      try LiveTree.remove(name, at: parent)
      live.forgetPosition()
    case .create: try create(try node(action), name, parent, action.path)
    case .replace: try replace(try node(action), name, parent, action.path)
    case .setMetadata, .finishDirectory:
      let entry = try node(action).entry
      if let group = entry.linkGroup, links[group] == nil { links[group] = action.path }
      if action.path.isEmpty {
        try writer.setMetadata(entry, [0x2E], at: live.root, path: [])
      } else {
        try writer.setMetadata(entry, name, at: parent, path: action.path)
      }
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
      try create(node, temporary, parent, above + temporary)
      guard failures == before else {
        // What is there stays when what should take its place is not whole.
        try LiveTree.remove(temporary, at: parent)
        return
      }
      defer { moveLinks(from: above + temporary, to: path) }
      let wasDirectory = try FileStatus(of: name, at: parent).isDirectory
      if wasDirectory || node.entry.isDirectory {
        try FileSystem.rename(temporary, at: parent, to: name, at: parent, .exchange)
        try LiveTree.remove(temporary, at: parent)
      } else {
        try FileSystem.rename(temporary, at: parent, to: name, at: parent)
      }
    } catch {
      try? LiveTree.remove(temporary, at: parent)
      throw error
    }
  }

  /// What was made under one path lies under another now.
  private func moveLinks(from old: [UInt8], to new: [UInt8]) {
    for (group, path) in links where path.starts(with: old) { links[group] = new + path[old.count...] }
  }

  // MARK: Making trees

  private struct Level {
    let node: SnapshotNode
    let name: [UInt8]
    let path: [UInt8]
    var directory: Descriptor?
    var position: UInt64 = 0
  }

  private func create(_ node: SnapshotNode, _ name: [UInt8], _ parent: Descriptor, _ path: [UInt8]) throws {
    guard let top = try begin(node, name, parent, path) else { return }
    var stack = [top]
    while let level = stack.last {
      try progress.throwIfStopped()
      guard let directory = level.directory else { preconditionFailure("the top directory is open") }
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
        if stack.count >= Self.openDirectoriesMax { stack[stack.count - Self.openDirectoriesMax].directory = nil }
        stack.append(below)
        continue
      }
      stack.removeLast()
      if stack.last != nil, stack[stack.count - 1].directory == nil {
        stack[stack.count - 1].directory = try Descriptor.open("..", at: directory, Descriptor.directoryFlags)
      }
      let above = stack.last?.directory ?? parent
      try attempt(level.path) { try writer.setMetadata(level.node.entry, level.name, at: above, path: level.path) }
    }
  }

  /// Makes one entry; a directory is returned, to be filled and then finished.
  private func begin(
    _ node: SnapshotNode, _ name: [UInt8], _ parent: Descriptor, _ path: [UInt8]
  ) throws -> Level? {
    let entry = node.entry
    progress.add(entries: 1)
    progress.setPath(path)
    if let group = entry.linkGroup {
      if let first = links[group] {
        let (directory, firstName) = try LiveTree(live.root).parent(first)
        return try {
          try FileSystem.makeLink(from: firstName, at: directory, to: name, at: parent); return nil
        }()
      }
      links[group] = path
    }
    do { try writer.make(entry, name, at: parent) } catch {
      if let group = entry.linkGroup { links[group] = nil }
      // Half a file under its full name would pass for the whole.
      if !entry.isDirectory, (error as? Errno) != .exists { try? FileSystem.removeFile(name, at: parent) }
      throw error
    }
    if entry.isDirectory {
      let directory = try Descriptor.open(name, at: parent, Descriptor.directoryFlags)
      return Level(node: node, name: name, path: path, directory: directory)
    }
    try writer.setMetadata(entry, name, at: parent, path: path)
    return nil
  }
}
