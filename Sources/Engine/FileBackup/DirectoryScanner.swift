internal import RepositoryCore
internal import Glibc
internal import LocalFiles
internal import Platform
internal import Reporting
internal import RepositoryFormat
internal import SnapshotTree
internal import SnapshotWriting

/// What the scan of one name has shown.
struct ScannedEntry: Sendable {
  enum Finding: Sendable {
    /// It is not wanted.
    case excluded
    /// A file that has to be read: whoever does that sees all the rest.
    case unread
    /// A file that is as in the base, which has all of its content.
    case unchanged(FileStatus)
    /// To be scanned: what it is like is seen then, together with what is in it.
    case directory
    /// A file that is not as it was, or a kind of file that is not known.
    case seen(FileStatus)
    /// A link, a device and the like, with all that there is to know.
    case special(Special)
    case failed(Errno)

    /// Of what is no directory, where it was looked at.
    var status: FileStatus? {
      switch self {
      case .unchanged(let status), .seen(let status): status
      case .special(let special): special.status
      case .excluded, .unread, .directory, .failed: nil
      }
    }
  }
  struct Special: Sendable {
    let status: FileStatus
    let body: EntryBody
    let attributes: [ExtendedAttribute]
    let problems: [PathProblem]
  }
  let name: [UInt8]
  /// What has this name in the base.
  let base: SnapshotNode?
  let finding: Finding
  /// Of a directory that the walk will come to: its number in the `ScanPrefetcher`.
  var number: UInt64?

  /// About how many bytes it takes.
  var memory: Int {
    var memory = MemoryLayout<ScannedEntry>.stride + name.count + (base?.entry.memory ?? 0)
    if case .special(let special) = finding { memory += special.attributes.memory + 256 }
    return memory
  }
}

extension [ExtendedAttribute] {
  fileprivate var memory: Int { reduce(0) { $0 + $1.name.count + $1.value.count + 100 } }
}

/// What the scan of a directory has shown.
struct DirectoryScan: Sendable {
  let directory: OpenDirectory
  /// As it was just before its names were listed.
  let status: FileStatus
  var names = NameList()
  /// Of a stretch of its names, so that one directory costs only so much memory.
  private(set) var entries: [ScannedEntry] = []
  /// The index of the first of them in `names`.
  private(set) var first = 0
  var attributes: [ExtendedAttribute] = []
  var problems: [PathProblem] = []
  /// Something in it is left out.
  var isIncomplete = false
  /// When this was, on the boot clock.
  let time = System.bootClock

  /// About how many bytes the entries take.
  private(set) var entriesMemory = 0
  /// The same of all.
  var memory: Int { 500 + names.memory + attributes.memory + entriesMemory }

  /// The entry at `index` of `entries` is a directory with this number.
  mutating func setNumber(_ number: UInt64, at index: Int) { entries[index].number = number }

  /// Takes `entries`, of which the first stands at `index` in the names.
  mutating func hold(_ entries: [ScannedEntry], from index: Int) {
    self.entries = entries
    first = index
    entriesMemory = entries.reduce(0) { $0 + $1.memory }
  }
}

/// Scans what is there, in step with the base, and reads no file. For any thread.
final class DirectoryScanner: Sendable {
  /// Entries of a directory that are scanned in one go, and their memory.
  static let entriesMax = 4096
  private static let memoryMax = 1 << 20

  private let options: BackupOptions
  private let base: BaseTree?
  private let mounts: MountTable
  private let forbidden: Set<FileIdentity>
  /// Files that are new are left to those who read them.
  private let leavesFiles: Bool

  /// `repository` is the one that is written to.
  init(_ options: BackupOptions, base: BaseTree?, repository: Repository? = nil) {
    self.options = options
    self.base = base
    mounts = MountTable(repository: repository)
    leavesFiles = !options.isDryRun && options.fileSizeMax == nil
    forbidden = Set(
      (repository?.protectedPaths ?? []).compactMap { path in (try? FileStatus(of: path))?.identity })
  }

  // MARK: Directories

  /// Scans a directory inside of a source. `above` is the status of the directory above when that is inside too.
  /// Throws `Errno.tooLarge` when it has more than `namesMax` names.
  func scan(
    _ directory: Descriptor, path: [UInt8], above: FileStatus?, base: SnapshotNode?, namesMax: Int = .max
  ) throws(Errno) -> DirectoryScan {
    let status = try directory.status()
    var scan = DirectoryScan(directory: OpenDirectory(directory), status: status)
    scan.attributes = attributes(of: directory, path, &scan.problems)
    mounts.meet(directory, status.device)
    if let problem = problem(with: status, path, above) {
      scan.problems.append(problem)
      if problem.kind != .remark || mounts.isSkipped(status.device) {
        scan.isIncomplete = true
        return scan
      }
    }
    do throws(Errno) {
      scan.names = try NameList(directory, countMax: namesMax)
    } catch {
      if error == .tooLarge { throw error }
      scan.problems.append(PathProblem(.unreadable, path, "listing the directory failed: \(error)"))
    }
    if let tag = exclusionTag(scan.names, directory) {
      scan.isIncomplete = scan.names.count > 1
      scan.names = NameList([tag])
    }
    let indices = 0..<min(scan.names.count, Self.entriesMax)
    scan.hold(self.scan(indices, of: scan, path: path, base: base, memoryMax: Self.memoryMax), from: 0)
    return scan
  }

  /// Scans some names of a directory that was scanned: all of them, unless they take more memory; one at least.
  func scan(
    _ indices: Range<Int>, of scan: DirectoryScan, path: [UInt8], base: SnapshotNode?, memoryMax: Int
  ) -> [ScannedEntry] {
    let directory = scan.directory.current
    var path = path
    var memory = 0
    var entries: [ScannedEntry] = []
    entries.reserveCapacity(indices.count)
    for index in indices where memory < memoryMax {
      let entry = scanEntry(scan.names[index], scan.names.type(index), in: directory, &path, base: base)
      memory += entry.memory
      entries.append(entry)
    }
    return entries
  }

  /// A directory on the way to a source, of which only some names are wanted. It may be opened for passing only.
  func scan(_ directory: Descriptor, path: [UInt8], only names: NameList) throws(Errno) -> DirectoryScan {
    var scan = DirectoryScan(directory: OpenDirectory(directory), status: try directory.status())
    scan.attributes = (try? Attributes.read(passage: directory, path, &scan.problems)) ?? []
    scan.names = names
    return scan
  }

  private func attributes(
    of directory: Descriptor, _ path: [UInt8], _ problems: inout [PathProblem]
  ) -> [ExtendedAttribute] {
    let read = try? Attributes.read(path, &problems) { () throws(Errno) in
      try ExtendedAttributes.readEach(directory)
    }
    return read ?? []
  }

  /// Why a source that is no directory is not backed up; nil for all that are.
  func problem(withSource status: FileStatus, _ path: [UInt8]) -> PathProblem? {
    // Their sizes and contents are made up when somebody reads them.
    guard case .virtual(let type) = mounts[status.device] else { return nil }
    return PathProblem(.missing, path, "a \(type) file system holds no files of yours")
  }

  /// Why a directory is not entered; or, as a remark, what is to be known of it. A source itself, which nothing is
  /// above of, is never passed over in silence, and may lie among snapshots of the repository: to read them is safe.
  private func problem(with status: FileStatus, _ path: [UInt8], _ above: FileStatus?) -> PathProblem? {
    let isSource = above == nil
    let isEntered = above.map { $0.device != status.device } ?? false
    let kind: PathProblem.Kind = isSource ? .missing : .skipped
    if forbidden.contains(status.identity) {
      return PathProblem(kind, path, "it belongs to the repository or to yester's cache")
    }
    if options.oneFileSystem, let above, above.device != status.device {
      return PathProblem(.skipped, path, "it is on another file system")
    }
    switch mounts[status.device] {
    case .virtual(let type): return PathProblem(kind, path, "a \(type) file system holds no files of yours")
    case .sameRepository where isSource && mounts.showsAll([0x2F] + path, of: status.device):
      return PathProblem(.missing, path, "all snapshots of this repository are not backed up into it; name one of them")
    case .sameRepository where isEntered:
      return PathProblem(.remark, path, "not entered, since it shows the snapshots of this repository")
    case .otherRepository(let location) where isEntered:
      let name = printable(Array(location.drop { $0 == 0x2F }))
      return PathProblem(
        .remark, path, "the snapshots of the repository \(name) are backed up from here (--exclude leaves them out)")
    case .sameRepository, .otherRepository:
      guard mounts.isBesideSnapshots([0x2F] + path, of: status.device) else { return nil }
      return PathProblem(kind, path, "it holds no files of yours, but what yester says of the snapshots")
    case nil: return nil
    }
  }

  /// The file that says that the content of this directory is not wanted.
  private func exclusionTag(_ names: NameList, _ directory: Descriptor) -> [UInt8]? {
    if let marker = options.markers.first(where: { names.contains($0) }) { return marker }
    let tag = Array("CACHEDIR.TAG".utf8)
    guard options.excludeCaches, names.contains(tag) else { return nil }
    let signature = Array("Signature: 8a477f597d28d172789f06886806bc55".utf8)
    var start = [UInt8](repeating: 0, count: signature.count)
    guard let file = try? Descriptor.open(tag, at: directory, Descriptor.noFollow | O_NONBLOCK),
      (try? start.withUnsafeMutableBytes({ try file.read(into: $0, at: 0) })) == start.count, start == signature
    else { return nil }
    return tag
  }

  // MARK: Entries

  /// Scans `name`, whose `DT_` value is `type`. `path` is that of the directory, and is so again afterwards;
  /// `base` is the directory in the base. What is only on the way to a source is never excluded.
  func scanEntry(
    _ name: [UInt8], _ type: UInt8, in directory: Descriptor, _ path: inout [UInt8], base: SnapshotNode?,
    isOnTheWay: Bool = false
  ) -> ScannedEntry {
    let length = path.count
    if !path.isEmpty { path.append(0x2F) }
    path.append(contentsOf: name)
    defer { path.removeLast(path.count - length) }

    // What is excluded is not touched, if the directory says what it is: it may be a mount that does not answer.
    let isKnown = type != UInt8(DT_UNKNOWN)
    if isKnown, !isOnTheWay, options.excludes.isExcluded(path: path, isDirectory: type == UInt8(DT_DIR)) {
      return ScannedEntry(name: name, base: nil, finding: .excluded)
    }
    let child = self.base?.child(name, of: base)
    // The name of the base is the same, and kept anyway.
    func found(_ finding: ScannedEntry.Finding) -> ScannedEntry {
      ScannedEntry(name: child?.entry.name ?? name, base: child, finding: finding)
    }

    let isReadAnyway = child == nil || self.base?.reusesContent == false
    if type == UInt8(DT_REG), isReadAnyway, leavesFiles, !isOnTheWay { return found(.unread) }
    if type == UInt8(DT_DIR) { return found(.directory) }
    let status: FileStatus
    do throws(Errno) {
      status = try FileStatus(of: name, at: directory)
    } catch {
      return found(.failed(error))
    }
    if !isOnTheWay, isExcluded(status, path) { return found(.excluded) }
    if status.isDirectory { return found(.directory) }
    if let child, isUnchanged(status, child.entry) { return found(.unchanged(status)) }
    do throws(Errno) {
      // At once, so that all of it is of one moment.
      if let special = try special(status, name, directory, path) { return found(.special(special)) }
    } catch {
      return found(.failed(error))
    }
    return found(.seen(status))
  }

  private func special(
    _ status: FileStatus, _ name: [UInt8], _ directory: Descriptor, _ path: [UInt8]
  ) throws(Errno) -> ScannedEntry.Special? {
    let body: EntryBody
    if status.isLink {
      body = .symbolicLink(target: try FileSystem.readLink(name, at: directory))
    } else if let special = EntryMaker.specialBody(status) {
      body = special
    } else {
      return nil
    }
    var problems: [PathProblem] = []
    let attributes = try Attributes.read(path, &problems) { () throws(Errno) in
      try ExtendedAttributes.readEach(name, at: directory)
    }
    return ScannedEntry.Special(status: status, body: body, attributes: attributes, problems: problems)
  }

  private func isExcluded(_ status: FileStatus, _ path: [UInt8]) -> Bool {
    if options.excludes.isExcluded(path: path, isDirectory: status.isDirectory) { return true }
    if let limit = options.fileSizeMax, status.isRegular, status.size > limit { return true }
    return false
  }

  private func isUnchanged(_ status: FileStatus, _ entry: Entry) -> Bool {
    // Devices and links are cheap to look at again; files are what counts.
    guard let base, base.reusesContent, entry.type == .file, status.isRegular,
      status.modified == entry.modified, !options.comparesChangeTime || status.changed == entry.changed,
      !options.comparesInode || status.inode == entry.sourceInode, status.size == entry.size,
      status.permissions == entry.permissions, status.user == entry.owner.user,
      status.group == entry.owner.group, status.linkCount == entry.linkCount, !entry.isIncomplete,
      base.showsChanges(entry)
    else { return false }
    return base.isStored(entry)
  }
}
