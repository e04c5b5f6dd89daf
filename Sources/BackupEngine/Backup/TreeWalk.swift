internal import ChunkCodec
internal import Glibc
internal import Platform
internal import RepositoryFormat
internal import RepositoryStore
internal import SnapshotTree

/// Walks the sources, in step with the base, and builds the new tree from the bottom up. One thread; the depth of the
/// tree is on a stack of its own, and only so many directories are open at once.
final class TreeWalk {
  private static let openDirectoriesMax = 256

  private struct Frame {
    var descriptor: Descriptor?
    let status: FileStatus
    var names: NameList
    var next = 0
    var listing = ListingBuilder()
    /// The entry of the directory itself, still without its listing.
    var entry: Entry
    let base: SnapshotNode?
    /// Entries of the base's directory that were met again, with all below them.
    var matched: UInt64 = 0
    /// What is to be taken of a directory on the way to a source; nil inside of one.
    let plan: SourcePlan?
    /// Length of the path without this directory's name.
    let pathLength: Int
  }

  private let options: BackupOptions
  private let writer: TreeWriter
  private let ingest: FileIngest?
  private let base: BaseTree?
  private let index: ChunkIndex
  private let progress: RunProgress
  private let report: (PathProblem) -> Void
  private let mounts = MountTable()
  private let forbidden: Set<FileIdentity>
  private var maker = EntryMaker()
  private var links: LinkTable
  private var stack: [Frame] = []
  /// The path of the entry at hand, without the slash in front.
  private var path: [UInt8] = []
  private(set) var counts = SnapshotCounts()

  struct FileIdentity: Hashable {
    let device: UInt64
    let inode: UInt64
  }

  init(
    _ options: BackupOptions, writer: TreeWriter, ingest: FileIngest?, base: BaseTree?, index: ChunkIndex,
    progress: RunProgress, report: @escaping (PathProblem) -> Void
  ) {
    self.options = options
    self.writer = writer
    self.ingest = ingest
    self.base = base
    self.index = index
    self.progress = progress
    self.report = report
    links = LinkTable(nextGroup: base?.snapshot.record.nextLinkGroup ?? 1)
    forbidden = Set(
      options.forbidden.compactMap { path in
        (try? FileStatus(of: path)).map { FileIdentity(device: $0.device, inode: $0.inode) }
      })
  }

  var nextLinkGroup: UInt64 { links.nextGroup }

  /// Walks everything; the entry of the root.
  func run(_ plan: SourcePlan) throws -> Entry {
    let status = try FileStatus(of: "/")
    let root = try Descriptor.open("/", Descriptor.directoryFlags)
    try enter([], root, status, base?.reader.root, plan.isSource ? nil : plan)
    while true {
      guard let top = stack.last else { preconditionFailure("the root leaves the stack last") }
      if top.next < top.names.count {
        stack[stack.count - 1].next += 1
        try visit(top.names[top.next])
      } else if let root = try leave() {
        return root
      }
    }
  }

  // MARK: Directories

  private func enter(
    _ name: [UInt8], _ directory: Descriptor, _ status: FileStatus, _ base: SnapshotNode?, _ plan: SourcePlan?
  ) throws {
    let attributes = try? readAttributes { () throws(Errno) in try ExtendedAttributes.read(directory) }
    var entry = maker.entry(
      name, status, .directory(below: 0, listing: ObjectID.zero), attributes: attributes ?? [])
    entry.isPartial = plan != nil
    var names = NameList()
    if let plan {
      names = NameList(plan.sortedNames)
    } else if let reason = reasonToStayOut(status) {
      entry.isIncomplete = true
      report(PathProblem(.skipped, path, reason))
    } else {
      do throws(Errno) { names = try NameList(directory) } catch {
        entry.isIncomplete = true
        unreadable("listing the directory", error)
      }
      if let tag = exclusionTag(names, directory) {
        entry.isIncomplete = names.count > 1
        names = NameList([tag])
      }
    }
    if stack.count > Self.openDirectoriesMax { stack[stack.count - Self.openDirectoriesMax].descriptor = nil }
    guard stack.count < Limits.treeDepthMax - 1 else {
      throw YesterError(
        .failed, "The directory \(printable(path)) is nested too deeply",
        advice: "Exclude it with --exclude; a tree may be \(Limits.treeDepthMax) directories deep.")
    }
    stack.append(
      Frame(
        descriptor: directory, status: status, names: names, entry: entry, base: base, plan: plan,
        pathLength: path.count - name.count - (path.count > name.count ? 1 : 0)))
  }

  private func reasonToStayOut(_ status: FileStatus) -> String? {
    if let type = mounts.virtualType(status.device) { return "a \(type) file system holds no files of yours" }
    if forbidden.contains(FileIdentity(device: status.device, inode: status.inode)) {
      return "it belongs to the repository or to yester's cache"
    }
    if options.oneFileSystem, let above = stack.last(where: { $0.plan == nil }), above.status.device != status.device {
      return "it is on another file system"
    }
    return nil
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

  /// Ends the directory on top; the root's entry when it was that.
  private func leave() throws -> Entry? {
    var frame = stack.removeLast()
    let (listing, below) = try frame.listing.finish(writer)
    frame.entry.body = .directory(below: below, listing: listing)
    if let base = frame.base, base.entry.isDirectory { counts.deleted += base.entry.below - frame.matched }
    count(frame.entry, frame.base)
    counts.directories += 1
    if stack.isEmpty { return frame.entry }
    if stack[stack.count - 1].descriptor == nil { try reopen(below: frame) }
    try stack[stack.count - 1].listing.append(frame.entry, writer)
    path.removeLast(path.count - frame.pathLength)
    return nil
  }

  /// Opens a directory again that was closed to save descriptors, by way of `..`, and makes sure that it is the same.
  private func reopen(below frame: Frame) throws {
    let expected = stack[stack.count - 1].status
    guard let child = frame.descriptor,
      let directory = try? Descriptor.open("..", at: child, Descriptor.directoryFlags),
      let status = try? directory.status(), status.inode == expected.inode, status.device == expected.device
    else {
      throw YesterError(
        .failed, "The directory above \(printable(path)) was moved while it was read", advice: "Run the backup again.")
    }
    stack[stack.count - 1].descriptor = directory
  }

  // MARK: Entries

  private func visit(_ name: [UInt8]) throws {
    try progress.throwIfStopped()
    guard let directory = stack[stack.count - 1].descriptor else { preconditionFailure("the top directory is open") }
    let length = path.count
    if !path.isEmpty { path.append(0x2F) }
    path.append(contentsOf: name)
    var isEntered = false
    defer { if !isEntered { path.removeLast(path.count - length) } }

    let status: FileStatus
    do throws(Errno) { status = try FileStatus(of: name, at: directory) } catch {
      if error == .notFound { return report(PathProblem(.vanished, path, "it is gone")) }
      return unreadable("looking at it", error)
    }
    let plan = stack[stack.count - 1].plan?.children[name]
    let planBelow = plan.flatMap { $0.isSource ? nil : $0 }
    if planBelow == nil, isExcluded(status) {
      stack[stack.count - 1].entry.isIncomplete = true
      return
    }
    let baseChild = base?.child(name, of: stack[stack.count - 1].base)
    if let baseChild { stack[stack.count - 1].matched += 1 + baseChild.entry.below }

    if status.isDirectory {
      let child: Descriptor
      do throws(Errno) { child = try open(name, directory, Descriptor.directoryFlags) } catch {
        unreadable("opening the directory", error)
        try store(emptyDirectory(name, status), baseChild)
        counts.directories += 1
        return
      }
      isEntered = true
      return try enter(name, child, status, baseChild, planBelow)
    }
    if planBelow != nil { return unreadable("looking for sources in it", .notDirectory) }
    if let entry = try makeEntry(name, directory, status, baseChild) {
      if let baseChild, baseChild.entry.isDirectory { counts.deleted += baseChild.entry.below }
      try store(entry, baseChild)
    }
  }

  private func isExcluded(_ status: FileStatus) -> Bool {
    if options.excludes.isExcluded(path: path, isDirectory: status.isDirectory) { return true }
    if let limit = options.fileSizeMax, status.isRegular, status.size > limit { return true }
    return false
  }

  private func emptyDirectory(_ name: [UInt8], _ status: FileStatus) throws -> Entry {
    var listing = ListingBuilder()
    let (id, below) = try listing.finish(writer)
    var entry = maker.entry(name, status, .directory(below: below, listing: id), attributes: [])
    entry.isIncomplete = true
    return entry
  }

  private func store(_ entry: Entry, _ base: SnapshotNode?) throws {
    count(entry, base)
    switch entry.body {
    case .file(let size, _):
      counts.files += 1
      counts.bytes += size
    case .symbolicLink: counts.links += 1
    case .directory: break
    default: counts.others += 1
    }
    try stack[stack.count - 1].listing.append(entry, writer)
  }

  private func count(_ entry: Entry, _ base: SnapshotNode?) {
    counts.entries += 1
    progress.add(entries: 1)
    if counts.entries & 0xFF == 0 { progress.setPath(path) }
    guard let old = base?.entry, old.type == entry.type else {
      counts.added += 1
      if base != nil { counts.deleted += 1 }
      return
    }
    var comparable = entry
    // A directory's listing differs with anything below it; what counts is the directory itself.
    if entry.isDirectory { comparable.body = old.body }
    if comparable == old { counts.unchanged += 1 } else { counts.modified += 1 }
  }

  /// Nil when it cannot be stored; the reason was reported.
  private func makeEntry(
    _ name: [UInt8], _ directory: Descriptor, _ status: FileStatus, _ base: SnapshotNode?
  ) throws -> Entry? {
    if status.linkCount > 1, var earlier = links.earlier(status) {
      earlier.name = name
      return earlier
    }
    var entry: Entry?
    if let base = base?.entry, isUnchanged(status, base) {
      progress.add(bytes: base.size)
      var same = base
      same.linkGroup = nil
      entry = same
    } else if status.isRegular {
      entry = try readFile(name, directory)
    } else {
      do throws(Errno) {
        switch status.type {
        case S_IFLNK:
          let target = try FileSystem.readLink(name, at: directory)
          entry = maker.entry(name, status, .symbolicLink(target: target), attributes: [])
        default:
          guard let body = EntryMaker.specialBody(status) else { return nil }
          entry = maker.entry(name, status, body, attributes: [])
        }
        entry?.attributes = try readAttributes { () throws(Errno) in try ExtendedAttributes.read(name, at: directory) }
      } catch {
        problem(error)
        return nil
      }
    }
    return finish(entry, status, base)
  }

  private func finish(_ entry: Entry?, _ status: FileStatus, _ base: SnapshotNode?) -> Entry? {
    guard var entry else { return nil }
    if status.linkCount > 1 { links.add(&entry, status, base: base?.entry) }
    return entry
  }

  private func isUnchanged(_ status: FileStatus, _ base: Entry) -> Bool {
    guard let reader = self.base, reader.reusesContent, !base.isDirectory, type(of: status) == base.type,
      status.modified == base.modified, !options.comparesChangeTime || status.changed == base.changed,
      !options.comparesInode || status.inode == base.sourceInode, status.size == base.size || base.type != .file,
      status.permissions == base.permissions, status.user == base.owner.user,
      status.group == base.owner.group, status.linkCount == base.linkCount
    else { return false }
    // Devices and links are cheap to look at again; files are what counts.
    return base.type == .file && reader.isStored(base, index)
  }

  private func type(of status: FileStatus) -> EntryType? {
    switch status.type {
    case S_IFREG: .file
    case S_IFDIR: .directory
    case S_IFLNK: .symbolicLink
    default: EntryMaker.specialBody(status)?.type
    }
  }

  // MARK: Files

  /// Opens without changing the access time where that is allowed.
  private func open(_ name: [UInt8], _ directory: Descriptor, _ flags: CInt) throws(Errno) -> Descriptor {
    do { return try Descriptor.open(name, at: directory, flags | Descriptor.noAccessTime) } catch {
      guard error == .notPermitted else { throw error }
      return try Descriptor.open(name, at: directory, flags)
    }
  }

  private func readFile(_ name: [UInt8], _ directory: Descriptor) throws -> Entry? {
    let file: Descriptor
    do throws(Errno) {
      // Should a FIFO have taken the file's place, opening must not wait for its other end.
      file = try open(name, directory, O_RDONLY | O_NONBLOCK | Descriptor.noFollow)
    } catch {
      problem(error)
      return nil
    }
    do {
      var status = try file.status()
      guard status.isRegular else {
        report(PathProblem(.changed, path, "it was replaced by something that is no file"))
        return nil
      }
      let attributes = try readAttributes { () throws(Errno) in try ExtendedAttributes.read(file) }
      guard let ingest else {
        return maker.entry(name, status, .file(size: status.size, content: .empty), attributes: attributes)
      }
      progress.setPath(path)
      for attempt in 1...2 {
        let result = try ingest.store(file, size: status.size, blocks: status.blocks)
        let after = try file.status()
        let isStable =
          after.size == status.size && after.modified == status.modified && result.size == status.size
        if isStable || attempt == 2 {
          if !isStable {
            report(PathProblem(.changed, path, "it changed while it was read; what is stored may be a mixture"))
          }
          return maker.entry(
            name, after, .file(size: result.size, content: result.content), attributes: attributes)
        }
        status = after
      }
      return nil
    } catch let error as Errno {
      problem(error)
      return nil
    }
  }

  private func readAttributes(
    _ read: () throws(Errno) -> [ExtendedAttribute]
  ) throws(Errno) -> [ExtendedAttribute] {
    let attributes: [ExtendedAttribute]
    do throws(Errno) { attributes = try read() } catch {
      if error == .notFound { throw error }
      report(PathProblem(.metadata, path, "its extended attributes cannot be read: \(error)"))
      return []
    }
    if attributes.reduce(0, { $0 + $1.name.count + $1.value.count }) > Limits.attributesSizeMax {
      report(PathProblem(.metadata, path, "its extended attributes are larger than 4 MiB and were left out"))
      return []
    }
    return attributes
  }

  private func problem(_ error: Errno) {
    if error == .notFound {
      report(PathProblem(.vanished, path, "it is gone"))
    } else {
      unreadable("reading it", error)
    }
  }

  private func unreadable(_ doing: String, _ error: Errno) {
    // Reported of something inside the directory on top, or of one that is about to be entered.
    if !stack.isEmpty { stack[stack.count - 1].entry.isIncomplete = true }
    counts.unreadable += 1
    report(PathProblem(.unreadable, path, "\(doing) failed: \(error)"))
  }
}

/// A path for people: bytes that are not UTF-8 or would upset a terminal come out escaped.
package func printable(_ path: [UInt8]) -> String {
  let text = String(decoding: path, as: UTF8.self)
  let isPlain = Array(text.utf8) == path && !path.contains { $0 < 0x20 || $0 == 0x7F }
  if isPlain { return "/" + text }
  return "/"
    + path.map { byte in
      (0x20..<0x7F).contains(byte) && byte != 0x5C ? String(UnicodeScalar(byte)) : "\\x" + Hex.encode([byte])
    }.joined()
}
