internal import ChunkCodec
internal import Glibc
internal import Platform
internal import RepositoryFormat
internal import RepositoryStore
internal import SnapshotTree

/// Walks the sources, in step with the base, and tells the builder of the new tree what it meets. Files that may have
/// changed are read by others. One thread; the depth of the tree is on a stack of its own, and only so many directories
/// are open at once.
final class TreeWalk {
  private static let openDirectoriesMax = 256
  private static let pathInterval = 256

  private struct Frame {
    var descriptor: Descriptor?
    let status: FileStatus
    var names: NameList
    var next = 0
    let base: SnapshotNode?
    /// Something in it was left out.
    var isIncomplete = false
    /// What is to be taken of a directory on the way to a source; nil inside of one.
    let plan: SourcePlan?
    /// Length of the path without this directory's name.
    let pathLength: Int
  }

  private let options: BackupOptions
  private let builder: TreeBuilder
  private let reads: FileReads?
  private let base: BaseTree?
  private let index: ChunkIndex
  private let links: LinkTable
  private let progress: RunProgress
  private let mounts = MountTable()
  private let forbidden: Set<FileIdentity>
  private var maker = EntryMaker()
  /// For a dry run, in which nothing is read but metadata.
  private lazy var looker = SourceReader(nil, links)
  private var stack: [Frame] = []
  /// The path of the entry at hand, without the slash in front.
  private var path: [UInt8] = []
  private var visited = 0

  /// Without `reads` files are only looked at.
  init(
    _ options: BackupOptions, builder: TreeBuilder, reads: FileReads?, base: BaseTree?, index: ChunkIndex,
    links: LinkTable, progress: RunProgress
  ) {
    self.options = options
    self.builder = builder
    self.reads = reads
    self.base = base
    self.index = index
    self.links = links
    self.progress = progress
    forbidden = Set(options.forbidden.compactMap { path in (try? FileStatus(of: path)).map { FileIdentity($0) } })
  }

  /// Walks everything; the entry of the root.
  func run(_ plan: SourcePlan) throws -> Entry {
    let status = try FileStatus(of: "/")
    let root = try Descriptor.open("/", Descriptor.directoryFlags)
    try enter([], root, status, base?.reader.root, plan.isSource ? nil : plan)
    while let top = stack.indices.last {
      if stack[top].next < stack[top].names.count {
        let place = stack[top].next
        stack[top].next += 1
        try visit(stack[top].names[place], type: stack[top].names.type(place))
      } else {
        try leave()
      }
    }
    return try builder.finish()
  }

  // MARK: Directories

  private func enter(
    _ name: [UInt8], _ directory: Descriptor, _ status: FileStatus, _ base: SnapshotNode?, _ plan: SourcePlan?
  ) throws {
    let attributes = try? readAttributes { () throws(Errno) in try ExtendedAttributes.read(directory) }
    var isIncomplete = false
    var problem: PathProblem?
    var entry = maker.entry(
      name, status, .directory(below: 0, listing: ObjectID.zero), attributes: attributes ?? [])
    entry.isPartial = plan != nil
    var names = NameList()
    if let plan {
      names = NameList(plan.sortedNames)
    } else if let reason = reasonToStayOut(status) {
      isIncomplete = true
      problem = PathProblem(.skipped, path, reason)
    } else {
      do throws(Errno) { names = try NameList(directory) } catch {
        problem = PathProblem(.unreadable, path, "listing the directory failed: \(error)")
      }
      if let tag = exclusionTag(names, directory) {
        isIncomplete = names.count > 1
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
        descriptor: directory, status: status, names: names, base: base, isIncomplete: isIncomplete, plan: plan,
        pathLength: path.count - name.count - (path.count > name.count ? 1 : 0)))
    try builder.take(.enter(entry, base: base))
    if let problem { try builder.take(.problem(problem)) }
  }

  private func reasonToStayOut(_ status: FileStatus) -> String? {
    if let type = mounts.virtualType(status.device) { return "a \(type) file system holds no files of yours" }
    if forbidden.contains(FileIdentity(status)) {
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

  /// Ends the directory on top.
  private func leave() throws {
    let frame = stack.removeLast()
    try builder.take(.leave(isIncomplete: frame.isIncomplete))
    if stack.isEmpty { return }
    if stack[stack.count - 1].descriptor == nil { try reopen(below: frame) }
    path.removeLast(path.count - frame.pathLength)
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

  private func visit(_ name: [UInt8], type: UInt8) throws {
    try progress.throwIfStopped()
    guard let directory = stack[stack.count - 1].descriptor else { preconditionFailure("the top directory is open") }
    let length = path.count
    if !path.isEmpty { path.append(0x2F) }
    path.append(contentsOf: name)
    var isEntered = false
    defer { if !isEntered { path.removeLast(path.count - length) } }
    visited += 1
    if visited.isMultiple(of: Self.pathInterval) { progress.setPath(path) }

    let baseChild = base?.child(name, of: stack[stack.count - 1].base)
    let plan = stack[stack.count - 1].plan?.children[name]
    // Of a file that is new there is nothing to know but what whoever reads it will see.
    let isReadAnyway = baseChild == nil || base?.reusesContent == false
    if type == UInt8(DT_REG), isReadAnyway, plan == nil, options.fileSizeMax == nil, reads != nil {
      if options.excludes.isExcluded(path: path, isDirectory: false) { return leaveOut() }
      return try read(name, directory, baseChild)
    }

    let status: FileStatus
    do throws(Errno) { status = try FileStatus(of: name, at: directory) } catch {
      return try problem(error, doing: "looking at it", nil)
    }
    let planBelow = plan.flatMap { $0.isSource ? nil : $0 }
    if planBelow == nil, isExcluded(status) { return leaveOut() }

    if status.isDirectory {
      let child: Descriptor
      do throws(Errno) { child = try SourceReader.open(name, directory, Descriptor.directoryFlags) } catch {
        try builder.take(.problem(PathProblem(.unreadable, path, "opening the directory failed: \(error)")))
        try builder.take(
          .enter(maker.entry(name, status, .directory(below: 0, listing: .zero), attributes: []), base: baseChild))
        return try builder.take(.leave(isIncomplete: true))
      }
      isEntered = true
      return try enter(name, child, status, baseChild, planBelow)
    }
    if planBelow != nil { return try problem(.notDirectory, doing: "looking for sources in it", baseChild) }
    try visit(name, directory, status, baseChild)
  }

  /// Anything but a directory.
  private func visit(
    _ name: [UInt8], _ directory: Descriptor, _ status: FileStatus, _ base: SnapshotNode?
  ) throws {
    if let base, isUnchanged(status, base.entry) {
      progress.add(bytes: base.entry.size)
      var entry = base.entry
      entry.linkGroup = nil
      return try take(entry, status, base)
    }
    if status.isRegular { return try read(name, directory, base) }
    let entry: Entry
    do throws(Errno) {
      let body: EntryBody
      if status.isLink {
        body = .symbolicLink(target: try FileSystem.readLink(name, at: directory))
      } else if let special = EntryMaker.specialBody(status) {
        body = special
      } else {
        return
      }
      let attributes = try readAttributes { () throws(Errno) in try ExtendedAttributes.read(name, at: directory) }
      entry = maker.entry(name, status, body, attributes: attributes)
    } catch {
      return try problem(error, doing: "reading it", base)
    }
    try take(entry, status, base)
  }

  /// An entry of which all is known.
  private func take(_ entry: Entry, _ status: FileStatus, _ base: SnapshotNode?) throws {
    guard status.linkCount > 1 else { return try builder.take(.entry(entry, base: base)) }
    try builder.take(.link(links.offer(status, entry), name: entry.name, path: path, base: base))
  }

  /// Has a file read.
  private func read(_ name: [UInt8], _ directory: Descriptor, _ base: SnapshotNode?) throws {
    let request = FileRequest(name: name, directory: directory, path: path)
    guard let reads else {
      return try builder.take(.result(try looker.read(request, to: nil), name: name, path: path, base: base))
    }
    let (batch, place) = try reads.add(request)
    try builder.take(.file(batch, place: place, name: name, path: path, base: base))
  }

  private func leaveOut() { stack[stack.count - 1].isIncomplete = true }

  private func isExcluded(_ status: FileStatus) -> Bool {
    if options.excludes.isExcluded(path: path, isDirectory: status.isDirectory) { return true }
    if let limit = options.fileSizeMax, status.isRegular, status.size > limit { return true }
    return false
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

  // MARK: Problems

  private func readAttributes(
    _ read: () throws(Errno) -> [ExtendedAttribute]
  ) throws(Errno) -> [ExtendedAttribute] {
    var problems: [PathProblem] = []
    defer { for problem in problems { builder.note(problem) } }
    return try Attributes.read(path, &problems, read)
  }

  private func problem(_ error: Errno, doing: String, _ base: SnapshotNode?) throws {
    if let base { try builder.take(.lost(base: base)) }
    try builder.take(.problem(.of(error, doing: doing, path)))
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
