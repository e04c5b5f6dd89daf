package import RepositoryCore
internal import Glibc
internal import LocalFiles
package import Platform
package import Reporting
internal import RepositoryFormat
internal import SnapshotTree

/// Compares a path in a snapshot with what is on this machine now. Both are walked in step, sorted by name; a file
/// is read only when its size is the same but its times or its inode are not.
///
/// What the snapshot left out on purpose does not count as added: what its exclude patterns match, what is beside
/// the sources, the repository, file systems that the kernel makes up, and the content of cache directories and
/// mount points that are empty in the snapshot.
package final class LiveComparison {
  private struct Frame {
    /// The directory in the snapshot; nil when it is not in it.
    var cursor: ListingCursor?
    /// Whether the directory is there, live.
    let isLive: Bool
    let names: NameList
    var next = 0
    let device: UInt64
    let path: [UInt8]
    /// Only what is in the snapshot counts.
    let ignoresAdded: Bool
    /// It is only the way to what was backed up: its names were not listed.
    let isPassage: Bool
  }

  private let location: SnapshotLocation
  private let stop: CancellationFlag
  private let content: LiveContent
  private let excludes: ExcludeRules
  private let forbidden: Set<FileIdentity>
  private let mounts: MountTable
  private let onProblem: (PathProblem) -> Void
  private var counts = DifferenceCounts()
  private var stack: [Frame] = []
  /// Those of the stack that are there, live: never one below another that is not.
  private var directories = DirectoryStack()

  /// `repository` is the one of the snapshot. What cannot be read goes to `problem`.
  package init(
    _ location: SnapshotLocation,
    of repository: Repository,
    stop: CancellationFlag,
    problem: @escaping (PathProblem) -> Void
  ) {
    self.location = location
    self.stop = stop
    onProblem = problem
    mounts = MountTable(repository: repository)
    let snapshot = location.reader.snapshot
    content = LiveContent(FileContentReader(tree: location.reader.tree, keySet: snapshot.keySet))
    // They were good when the snapshot was made.
    excludes = (try? ExcludeRules(lines: snapshot.record.excludes)) ?? ExcludeRules()
    forbidden = Set(
      repository.protectedPaths.compactMap { path in
        (try? FileStatus(of: path))?.identity
      }
    )
  }

  /// Compares with `live`, an absolute path. Throws `Stopped` when the flag was raised.
  package func run(_ live: [UInt8], _ report: (Difference) throws -> Void) throws -> DifferenceCounts {
    let slash = live.lastIndex(of: 0x2F) ?? 0
    let name = live.count > 1 ? Array(live[(slash + 1)...]) : [0x2E]
    let parent: Descriptor
    let status: FileStatus
    do throws(Errno) {
      parent = try Descriptor.open(slash == 0 ? [0x2F] : Array(live[..<slash]), Descriptor.passageFlags)
      status = try FileStatus(of: name, at: parent)
    } catch {
      throw YesterError.system("Looking at", printable(Array(live.dropFirst())), error)
    }
    try compare(location.node.entry, status, name, in: parent, aboveDevice: status.device, path: [], report)
    while stack.last != nil {
      if stop.isRaised { throw Stopped() }
      if try !step(report) { try leave() }
    }
    return counts
  }

  /// Goes back up.
  private func leave() throws {
    let done = stack.removeLast()
    guard done.isLive else { return }
    do throws(LostDirectory) {
      try directories.pop()
    } catch {
      throw YesterError.lost(above: printable(location.path(of: done.path)), error, while: "it was compared")
    }
  }

  /// Compares the next name of the directory on top; false when there is none.
  private func step(_ report: (Difference) throws -> Void) throws -> Bool {
    while stack[stack.count - 1].cursor?.next != nil { try stack[stack.count - 1].cursor?.open() }
    let top = stack[stack.count - 1]
    let live = top.next < top.names.count ? top.names[top.next] : nil
    let stored = try top.cursor?.position.map { try Self.entry($0) }
    if let live, stored.map({ live.precedes($0.name) }) ?? true {
      stack[stack.count - 1].next += 1
      if !top.ignoresAdded { try visitLive(live, top, report) }
      return true
    }
    guard let stored else { return false }
    stack[stack.count - 1].cursor?.advance()
    let path = SnapshotComparison.join(top.path, stored.name)
    var status: FileStatus?
    if stored.name == live { stack[stack.count - 1].next += 1 }
    let directory = top.isLive ? directories.top : nil
    if let directory, top.isPassage || stored.name == live {
      do throws(Errno) {
        status = try FileStatus(of: stored.name, at: directory)
      } catch {
        if error != .notFound {
          problem(path, "looking at it", error)
          return true
        }
      }
    }
    if let status, let directory {
      try compare(stored, status, stored.name, in: directory, aboveDevice: top.device, path: path, report)
    } else {
      try emit(Difference(removed: EntryFacts(stored), path), report)
      try push(stored: stored, live: nil, device: top.device, path: path)
    }
    return true
  }

  private static func entry(_ position: (leaf: Leaf, index: Int)) throws -> Entry {
    do {
      return try position.leaf.entry(position.index)
    } catch {
      throw YesterError.damaged("A listing", error)
    }
  }

  private func emit(_ difference: Difference?, _ report: (Difference) throws -> Void) throws {
    guard let difference else { return }
    counts.add(difference.kind)
    try report(difference)
  }

  private func problem(_ path: [UInt8], _ doing: String, _ error: Errno) {
    if error != .notFound { onProblem(PathProblem(.unreadable, location.path(of: path), "\(doing) failed: \(error)")) }
  }

  // MARK: Entries

  /// A name that only the live tree has.
  private func visitLive(_ name: [UInt8], _ above: Frame, _ report: (Difference) throws -> Void) throws {
    guard let directory = directories.top else { return }
    let path = SnapshotComparison.join(above.path, name)
    let status: FileStatus
    do throws(Errno) {
      status = try FileStatus(of: name, at: directory)
    } catch {
      return problem(path, "looking at it", error)
    }
    guard !excludes.isExcluded(path: location.path(of: path), isDirectory: status.isDirectory), !isOutside(status),
      let type = Self.body(status)?.type
    else { return }
    try emit(Difference(added: EntryFacts(status, type), path), report)
    if status.isDirectory && status.device == above.device {
      let live = open(name, directory, path)
      if live != nil { try push(stored: nil, live: live, device: status.device, path: path) }
    }
  }

  /// Whether a directory never is part of a snapshot.
  private func isOutside(_ status: FileStatus) -> Bool {
    status.isDirectory
      && (mounts.isSkipped(status.device) || forbidden.contains(status.identity))
  }

  /// A name that both have.
  private func compare(
    _ stored: Entry,
    _ status: FileStatus,
    _ name: [UInt8],
    in directory: Descriptor,
    aboveDevice: UInt64,
    path: [UInt8],
    _ report: (Difference) throws -> Void
  ) throws {
    guard let body = Self.body(status) else { return }
    let facts = EntryFacts(stored)
    let now = EntryFacts(status, body.type)
    var aspects: [Difference.Aspect] = []
    if stored.type != body.type {
      aspects = [.type]
    } else {
      do {
        if try !isSame(stored, body, status, name, directory) { aspects.append(.content) }
      } catch let error as Errno {
        problem(path, "reading it", error)
      }
      aspects += facts.metadataAspects(now)
    }
    try emit(Difference(path, aspects, old: facts, new: now), report)

    let isLeftOut =
      stored.isDirectory && stored.below == 0 && (isOutside(status) || status.device != aboveDevice)
    guard !isLeftOut else { return }
    let live = status.isDirectory ? open(name, directory, path, isPassage: stored.isPartial) : nil
    // What is in a directory that cannot be read is neither there nor gone.
    if status.isDirectory && live == nil { return }
    try push(stored: stored, live: live, device: status.device, path: path)
  }

  /// Whether the content is the same; an `Errno` is the live file's.
  private func isSame(
    _ stored: Entry,
    _ body: EntryBody,
    _ status: FileStatus,
    _ name: [UInt8],
    _ directory: Descriptor
  ) throws -> Bool {
    switch stored.body {
    case .file(let size, let file):
      if LiveContent.isSurelySame(stored, status) { return true }
      guard status.size == size else { return false }
      return try content.isSame(name, in: directory, size, file, stop: stop)
    case .symbolicLink(let target): return try FileSystem.readLink(name, at: directory) == target
    case .characterDevice, .blockDevice: return stored.body == body
    case .directory, .fifo, .socket: return true
    }
  }

  /// A live entry's type and device numbers; sizes and targets are not filled in. Nil for what no file system has.
  private static func body(_ status: FileStatus) -> EntryBody? {
    switch status.type {
    case S_IFREG: .file(size: status.size, content: .empty)
    case S_IFDIR: .directory(below: 0, listing: .zero)
    case S_IFLNK: .symbolicLink(target: [])
    default: EntryMaker.specialBody(status)
    }
  }

  // MARK: Directories

  /// `isPassage`: it may be one that the user may not list, and need not.
  private func open(
    _ name: [UInt8], _ directory: Descriptor, _ path: [UInt8], isPassage: Bool = false
  ) -> (Descriptor, NameList)? {
    do throws(Errno) {
      if isPassage { return (try Descriptor.open(name, at: directory, Descriptor.passageFlags), NameList()) }
      let opened = try Descriptor.open(name, at: directory, Descriptor.directoryFlags)
      return (opened, try NameList(opened))
    } catch {
      problem(path, "listing the directory", error)
      return nil
    }
  }

  /// Goes on inside of a directory, on the sides where there is one.
  private func push(stored: Entry?, live: (Descriptor, NameList)?, device: UInt64, path: [UInt8]) throws {
    var cursor: ListingCursor?
    var ignoresAdded = false
    let source = location.reader.tree
    if let stored, case .directory(let below, let listing) = stored.body {
      cursor = ListingCursor(listing, below: below, source: source.reader)
      ignoresAdded = stored.isPartial
      let tag = Array("CACHEDIR.TAG".utf8)
      if below == 1, live?.1.contains(tag) == true {
        // Only the tag was stored: a cache whose content was not wanted.
        let isTag = try tag.withUnsafeBytes { try source.find($0, in: listing, below: below) } != nil
        ignoresAdded = ignoresAdded || isTag
      }
    }
    guard cursor != nil || live != nil else { return }
    guard stack.count < Limits.treeDepthMax else {
      throw YesterError(.failed, "The directory \(printable(location.path(of: path))) is nested too deeply")
    }
    if let live {
      let isPassage = stored?.isPartial ?? false
      try directories.push(
        OpenDirectory(live.0), flags: isPassage ? Descriptor.passageFlags : Descriptor.directoryFlags)
    }
    stack.append(
      Frame(
        cursor: cursor,
        isLive: live != nil,
        names: live?.1 ?? NameList(),
        device: device,
        path: path,
        ignoresAdded: ignoresAdded,
        isPassage: stored?.isPartial ?? false
      )
    )
  }
}
