internal import RepositoryCore
internal import Glibc
internal import LocalFiles
internal import Platform
internal import Reporting
internal import RepositoryFormat
internal import SnapshotTree

/// Compares a part of a snapshot with what is at the destination, and lists what has to be done.
final class RestorePlanner {
  private let reader: SnapshotReader
  /// The destination, for messages.
  private let rootPath: String
  private let live: LiveContent
  private let deletes: Bool
  private let protected: ProtectedDirectories
  private let progress: RunProgress
  private let listing: EntryListing?
  private var plan = RestorePlan()
  /// For each file of several names that was met: the inode that its first member keeps; nil when it will be made anew.
  private var linkInodes: [LinkIdentity: UInt64?] = [:]
  /// Such files whose content was counted.
  private var written: Set<LinkIdentity> = []

  private struct Frame {
    let node: SnapshotNode
    let open: OpenDirectory
    let device: UInt64
    let path: [UInt8]
    var position: UInt64 = 0
    let needsMetadata: Bool
    let names = LiveNames()

    var directory: Descriptor { open.current }
  }

  init(
    _ reader: SnapshotReader, rootPath: String, deletes: Bool, protecting: ProtectedDirectories, progress: RunProgress,
    listing: EntryListing? = nil
  ) {
    self.reader = reader
    self.rootPath = rootPath
    self.deletes = deletes
    protected = protecting
    self.progress = progress
    self.listing = listing
    live = LiveContent(FileContentReader(tree: reader.tree, keySet: reader.snapshot.keySet))
  }

  /// Plans the content of the directory `start` onto the directory `destination`.
  func run(_ start: SnapshotNode, onto destination: Descriptor, setsRootMetadata: Bool) throws -> RestorePlan {
    let status = try destination.status()
    guard !protected.isProtected(status) else {
      throw YesterError(
        .failed, "The destination is the repository or yester's cache", advice: "Choose another directory.")
    }
    var stack = [
      Frame(
        node: start, open: OpenDirectory(destination), device: status.device, path: [],
        needsMetadata: setsRootMetadata && !start.entry.isPartial)
    ]
    var directories = DirectoryStack()
    try directories.push(stack[0].open, flags: Self.flags(start.entry))
    while let top = stack.last {
      try progress.throwIfStopped()
      var below: Frame?
      var position = top.position
      try reader.forEachChild(of: top.node, from: top.position) { child, at in
        position = at + 1
        below = try visit(child, top)
        return below == nil
      }
      stack[stack.count - 1].position = position
      if let below {
        try directories.push(below.open, flags: Self.flags(below.node.entry))
        stack.append(below)
        continue
      }
      if deletes && !top.node.entry.isPartial && !top.node.entry.isIncomplete { try planDeletions(top) }
      if top.needsMetadata {
        let isSame = try hasSameMetadata(top.node.entry, top.directory)
        try add(isSame ? .finishDirectory : .setMetadata, top.path, top.node)
      }
      stack.removeLast()
      do throws(LostDirectory) {
        try directories.pop()
      } catch {
        throw YesterError.lost(above: rootPath + printable(top.path), error, while: "it was compared")
      }
    }
    return plan
  }

  /// Plans one thing: a file or whatever else is no directory, or a directory with all in it.
  func run(single node: SnapshotNode, named name: [UInt8], in destination: Descriptor) throws -> RestorePlan {
    let above = Frame(
      node: node, open: OpenDirectory(destination), device: try destination.status().device, path: [],
      needsMetadata: false)
    var named = node.entry
    named.name = name
    let renamed = SnapshotNode(number: node.number, entry: named, parent: node.parent)
    if let frame = try visit(renamed, above) {
      let inner = try RestorePlanner(
        reader, rootPath: rootPath + printable(name), deletes: deletes, protecting: protected, progress: progress,
        listing: listing?.below(name)
      ).run(
        node, onto: frame.directory, setsRootMetadata: true)
      for action in inner.actions {
        plan.actions.append(
          RestoreAction(
            kind: action.kind, path: action.path.isEmpty ? name : name + [0x2F] + action.path, number: action.number,
            entries: action.entries, bytes: action.bytes))
      }
      for (link, path) in inner.keptLinks { plan.keptLinks[link] = name + [0x2F] + path }
      plan.unchanged += inner.unchanged
      plan.problems += inner.problems
    }
    return plan
  }

  /// How a directory is opened that is there already: what is only on the way to others need not be readable.
  private static func flags(_ entry: Entry) -> CInt {
    entry.isPartial ? Descriptor.passageFlags : Descriptor.directoryFlags
  }

  /// Plans one child; a directory that is there already is returned, to be gone into.
  private func visit(_ child: SnapshotNode, _ above: Frame) throws -> Frame? {
    let entry = child.entry
    let path = above.path.isEmpty ? entry.name : above.path + [0x2F] + entry.name
    let status: FileStatus
    do throws(Errno) {
      status = try FileStatus(of: entry.name, at: above.directory)
    } catch {
      // A name that the file system cannot hold is not there either; making it will fail, and be told.
      guard [.notFound, .illegalBytes, .nameTooLong, .invalid].contains(error) else {
        throw YesterError.system("Looking at", rootPath + printable(path), error)
      }
      progress.add(entries: 1)
      noteLink(entry, nil)
      try add(.create, path, child)
      return nil
    }
    progress.add(entries: 1)
    guard try above.names.has(entry.name, in: above.directory) else {
      plan.problems.append(
        PathProblem(
          .unreadable, path,
          "its name is the same as another one's on this file system (such as one that differs in case alone); what is "
            + "there stays as it is"))
      return nil
    }
    progress.setPath(path)
    if entry.isDirectory && status.isDirectory {
      if protected.isProtected(status) { return keep(path, "it is the repository or yester's cache") }
      // An empty directory in the snapshot says nothing of a file system that is mounted there.
      if status.device != above.device && entry.below == 0 { return keep(path, "another file system is mounted there") }
      return Frame(
        node: child, open: OpenDirectory(try Descriptor.open(entry.name, at: above.directory, Self.flags(entry))),
        device: status.device, path: path, needsMetadata: !entry.isPartial)
    }
    if let reason = try reasonToReplace(child, status, above.directory) {
      if status.isDirectory {
        if protected.mustStay(status) { return keep(path, "the repository or yester's cache is in it") }
        if status.device != above.device { return keep(path, "another file system is mounted there") }
      }
      noteLink(entry, nil)
      try add(.replace(reason), path, child)
      return nil
    }
    noteLink(entry, status.inode)
    if let link = entry.link, plan.keptLinks[link] == nil { plan.keptLinks[link] = path }
    if try hasSameMetadata(entry, status, above.directory) {
      plan.unchanged += 1
      if let listing, listing.isComplete { listing.tell(EntryEvent(.unchanged, path, entry)) }
    } else {
      try add(.setMetadata, path, child)
    }
    return nil
  }

  /// Leaves what is there alone, and says so.
  private func keep(_ path: [UInt8], _ reason: String) -> Frame? {
    plan.problems.append(PathProblem(.skipped, path, "\(reason); it stays as it is"))
    return nil
  }

  private func noteLink(_ entry: Entry, _ inode: UInt64?) {
    if let link = entry.link, linkInodes[link] == nil { linkInodes[link] = .some(inode) }
  }

  private func reasonToReplace(
    _ node: SnapshotNode, _ status: FileStatus, _ directory: Descriptor
  ) throws -> RestoreAction.ReplaceReason? {
    let entry = node.entry
    guard status.type == entry.type.modeBits else { return .typeDiffers }
    if let link = entry.link, let first = linkInodes[link], first != status.inode { return .linkDiffers }
    switch entry.body {
    case .file(let size, let body):
      let isSame = try isSameFile(entry, size, body, status, directory)
      if isSame { return nil }
      return status.modified > reader.snapshot.record.start ? .newerThanSnapshot : .contentDiffers
    case .symbolicLink(let target):
      return try FileSystem.readLink(entry.name, at: directory) == target ? nil : .contentDiffers
    case .characterDevice(let major, let minor), .blockDevice(let major, let minor):
      return status.deviceMajor == major && status.deviceMinor == minor ? nil : .contentDiffers
    default: return nil
    }
  }

  /// The very inode with the very time of change is the file that was backed up. Otherwise equal times and sizes are
  /// not enough to call it the same: its content is read and compared. A file that cannot be read counts as different.
  private func isSameFile(
    _ entry: Entry, _ size: UInt64, _ body: FileContent, _ status: FileStatus, _ directory: Descriptor
  ) throws -> Bool {
    guard status.size == size, !LiveContent.isSurelySame(entry, status) else {
      progress.add(skippedBytes: size)
      return status.size == size
    }
    defer { progress.add(bytes: size) }
    do {
      return try live.isSame(entry.name, in: directory, size, body, stop: progress.stop)
    } catch is Errno {
      return false
    }
  }

  private func hasSameMetadata(_ entry: Entry, _ status: FileStatus, _ directory: Descriptor) throws -> Bool {
    let ownerMatters = System.isRoot
    guard status.modified == entry.modified, entry.type == .symbolicLink || status.permissions == entry.permissions,
      !ownerMatters || (status.user == entry.owner.user && status.group == entry.owner.group)
    else { return false }
    // What cannot be read is set anew, and fails there where it must.
    guard let attributes = try? ExtendedAttributes.read(entry.name, at: directory) else { return false }
    return entry.attributes.isSame(as: attributes)
  }

  /// The same of a directory that is open. Its time of modification counts as well: it is part of what is restored.
  private func hasSameMetadata(_ entry: Entry, _ directory: Descriptor) throws -> Bool {
    let status = try directory.status()
    guard status.modified == entry.modified, status.permissions == entry.permissions,
      !System.isRoot || (status.user == entry.owner.user && status.group == entry.owner.group)
    else { return false }
    guard let attributes = try? ExtendedAttributes.read(directory) else { return false }
    return entry.attributes.isSame(as: attributes)
  }

  private func planDeletions(_ frame: Frame) throws {
    for name in try Directory.names(frame.directory) {
      guard try name.withUnsafeBytes({ try reader.child($0, of: frame.node) }) == nil else { continue }
      let path = frame.path.isEmpty ? name : frame.path + [0x2F] + name
      let status: FileStatus
      do throws(Errno) {
        status = try FileStatus(of: name, at: frame.directory)
      } catch {
        // What cannot be looked at may be what must stay.
        if error != .notFound { _ = keep(path, "it is not in the snapshot, but cannot be looked at (\(error))") }
        continue
      }
      if status.isDirectory {
        if status.device != frame.device {
          _ = keep(path, "it is not in the snapshot, but another file system is mounted there")
          continue
        }
        if protected.mustStay(status) {
          _ = keep(path, "it is not in the snapshot, but the repository or yester's cache is in it")
          continue
        }
      }
      plan.actions.append(RestoreAction(kind: .delete, path: path, number: nil, entries: 0, bytes: 0))
    }
  }

  private func add(_ kind: RestoreAction.Kind, _ path: [UInt8], _ node: SnapshotNode) throws {
    let makes = if case .setMetadata = kind { false } else { kind != .finishDirectory }
    let bytes = makes ? try contentBytes(of: node) : 0
    if case .create = kind { progress.add(entries: node.entry.below, skippedBytes: bytes) }
    plan.actions.append(
      RestoreAction(
        kind: kind, path: path, number: node.number, entries: makes ? 1 + node.entry.below : 0,
        bytes: bytes))
  }

  /// Of all files that the node is or holds. What has several names is written once.
  private func contentBytes(of node: SnapshotNode) throws -> UInt64 {
    var bytes: UInt64 = 0
    try reader.walk(from: node) { node, _ in
      try progress.throwIfStopped()
      guard case .file(let size, _) = node.entry.body else { return true }
      if let link = node.entry.link, !written.insert(link).inserted { return true }
      bytes.addClamped(size)
      return true
    }
    return bytes
  }
}
