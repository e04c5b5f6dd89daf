internal import RepositoryCore
internal import ChunkCodec
internal import Documents
internal import Glibc
package import Platform
internal import Reporting
internal import RepositoryFormat
package import SnapshotTree
internal import Synchronization

/// The calls of the FUSE adapter.
extension Namespace {
  package func attributes(of node: UInt64) throws(Errno) -> NodeInfo {
    try guarding("Reading metadata") { try attributesOrThrow(node) }
  }

  func attributesOrThrow(_ node: UInt64) throws -> NodeInfo {
    if NodeNumber.view(node) == 0 { return try info(virtual(node)) }
    let (view, found) = try entry(node)
    return try view.role == .versions ? versionDirectoryInfo(found, view) : info(found, view)
  }

  package func found(_ node: UInt64) throws(Errno) -> NodeInfo {
    try guarding("Finding a node again") {
      if NodeNumber.view(node) == 0 {
        if case .checksumFile(let host, let name) = try virtual(node), checksumMembers(host, name).isEmpty {
          throw Errno.stale
        }
      } else {
        let view = try view(NodeNumber.view(node))
        let members = view.union?.members ?? [view.snapshot]
        guard state.withLock({ state in members.allSatisfy { state.present.contains($0.id) } }) else {
          throw Errno.stale
        }
      }
      return try attributesOrThrow(node)
    }
  }

  func info(_ node: SnapshotNode, _ view: SnapshotView) -> NodeInfo {
    let entry = node.entry
    var info = NodeInfo(
      node: NodeNumber.node(view: view.number, number: node.number),
      inode: view.inodes.inode(node.number, linkGroup: entry.linkGroup, view.role, type: entry.type),
      mode: entry.type.modeBits | entry.permissions, links: entry.linkCount, user: entry.owner.user,
      group: entry.owner.group, modified: entry.modified, changed: entry.changed, isImmutable: true,
      generation: view.generation)
    if node.number == 0 { setTopTimes(&info, entry, view) }
    if view.role == .versionLink {
      info.mode = S_IFLNK | 0o777
      info.links = 1
      info.size = UInt64((try? versionTarget(node, view).count) ?? 0)
      return info
    }
    switch entry.body {
    case .file(let size, let content):
      info.size = size
      info.blocks = (dataSize(content, size, view) + 511) / 512
    case .directory:
      info.size = 4096
      info.blocks = 8
    case .symbolicLink(let target): info.size = UInt64(target.count)
    case .characterDevice(let major, let minor), .blockDevice(let major, let minor):
      info.deviceMajor = major
      info.deviceMinor = minor
    case .fifo, .socket: break
    }
    return info
  }

  /// The top directory of a snapshot is what `/` was only where `/` itself was backed up. Otherwise it is made up, and
  /// its time is when the snapshot was made. The time of the last change, which no program can restore, always is that.
  /// The name may lead elsewhere tomorrow, or nowhere, though what it leads to never changes.
  private func setTopTimes(_ info: inout NodeInfo, _ root: Entry, _ view: SnapshotView) {
    let made = view.snapshot.record.start
    if root.isPartial { info.modified = made }
    info.changed = made
    info.isNameFixed = false
  }

  private func dataSize(_ content: FileContent, _ size: UInt64, _ view: SnapshotView) -> UInt64 {
    switch content {
    case .empty, .single: size
    default: (try? view.content.dataSize(content, size: size)) ?? size
    }
  }

  package func lookUp(_ name: UnsafeRawBufferPointer, in directory: UInt64) throws(Errno) -> NodeInfo {
    try guarding("Looking up a name") {
      if NodeNumber.view(directory) == 0 {
        guard let found = try child(Array(name), of: virtual(directory)) else { throw Errno.notFound }
        return found
      }
      let (view, parent) = try entry(directory)
      guard let found = try child(name, of: parent, view) else { throw Errno.notFound }
      return found
    }
  }

  private func child(
    _ name: UnsafeRawBufferPointer, of parent: SnapshotNode, _ view: SnapshotView
  ) throws -> NodeInfo? {
    switch view.role {
    case .snapshot, .day:
      guard parent.entry.isDirectory else { throw Errno.notDirectory }
      return try view.reader.child(name, of: parent).map { info($0, view) }
    case .union: return try view.union.flatMap { try unionChild(name, of: parent, view, $0) }
    case .versions: return try versionChild(Array(name), of: trail(of: parent, view), view.snapshot.record.host)
    case .versionLink: throw Errno.notDirectory
    }
  }

  package func list(
    _ directory: UInt64, from offset: UInt64, _ body: (UnsafeRawBufferPointer, NodeInfo, UInt64) -> Bool
  ) throws(Errno) {
    try guarding("Listing a directory") {
      func take(_ name: [UInt8], _ child: NodeInfo, _ next: UInt64) -> Bool {
        name.withUnsafeBytes { body($0, child, next) }
      }
      if NodeNumber.view(directory) == 0 {
        try forEachChild(of: virtual(directory), from: offset, take)
        return
      }
      let (view, parent) = try entry(directory)
      switch view.role {
      case .snapshot, .day:
        guard parent.entry.isDirectory else { throw Errno.notDirectory }
        try view.reader.forEachChild(of: parent, from: offset) { child, position in
          child.entry.name.withUnsafeBytes { body($0, info(child, view), position + 1) }
        }
      case .union:
        guard let union = view.union else { return }
        let children = try unionChildren(of: parent, view, union)
        for (index, child) in children.enumerated().dropFirst(Int(clamping: offset)) {
          guard take(child.name, child.info, UInt64(index) + 1) else { return }
        }
      case .versions: try forEachVersion(of: trail(of: parent, view), view.snapshot.record.host, from: offset, take)
      case .versionLink: throw Errno.notDirectory
      }
    }
  }

  package func parent(of directory: UInt64) throws(Errno) -> UInt64 {
    try guarding("Looking for the directory above") {
      guard NodeNumber.view(directory) != 0 else { return try virtualParent(virtual(directory)) }
      let (view, node) = try entry(directory)
      switch view.role {
      case .union: return try view.union.map { try unionParent(of: node, view, $0) } ?? view.above
      case .versions, .versionLink: return try versionParent(of: node, view)
      case .snapshot, .day: break
      }
      if node.number == 0 { return view.above }
      return try view.role == .day ? dayParent(of: node, view) : NodeNumber.node(view: view.number, number: node.parent)
    }
  }

  private func virtualParent(_ node: VirtualNode) -> UInt64 {
    switch node {
    case .top, .host: 1
    case .latest(let host), .yester(let host): number(.host(host))
    case .versions(let host), .checksums(let host), .metadata(let host), .stats(let host), .health(let host):
      number(.yester(host: host))
    case .checksumFile(let host, _): number(.checksums(host: host))
    }
  }

  package func readLink(_ node: UInt64) throws(Errno) -> [UInt8] {
    try guarding("Reading a link") {
      if NodeNumber.view(node) == 0 {
        guard case .latest(let host) = try virtual(node), let latest = hostView(host)?.latest else {
          throw Errno.invalid
        }
        return Array(latest.utf8)
      }
      let (view, found) = try entry(node)
      if view.role == .versionLink { return try versionTarget(found, view) }
      guard view.role != .versions, case .symbolicLink(let target) = found.entry.body else { throw Errno.invalid }
      return target
    }
  }

  package func read(_ node: UInt64, at offset: UInt64, count: Int) throws(Errno) -> [BytesSlice] {
    if NodeNumber.view(node) == 0 {
      return try guarding("Reading") { try readVirtual(node, at: offset, count) }
    }
    let view: SnapshotView
    let found: SnapshotNode
    (view, found) = try guarding("Reading a file") { try contentEntry(node) }
    do {
      guard case .file(let size, let content) = found.entry.body else { throw Errno.invalid }
      let parts = try view.content.parts(of: content, size: size, at: offset, count: count)
      readAhead.didRead(found.number, of: view, at: offset, count: parts.reduce(0) { $0 + $1.count })
      return parts
    } catch let error as Errno {
      throw error
    } catch {
      let message = (error as? YesterError)?.message ?? "\(error)"
      let name = String(decoding: found.entry.name, as: UTF8.self)
      health.error("Reading \"\(name)\" in \(view.reader.snapshot.record.name) at byte \(offset): \(message).")
      throw .inputOutput
    }
  }

  /// An entry as what it was, and not what only stands for it.
  private func contentEntry(_ node: UInt64) throws -> (SnapshotView, SnapshotNode) {
    let (view, found) = try entry(node)
    if view.role == .versions { throw Errno.isDirectory }
    if view.role == .versionLink { throw Errno.invalid }
    return (view, found)
  }

  private func readVirtual(_ node: UInt64, at offset: UInt64, _ count: Int) throws -> [BytesSlice] {
    let virtual = try virtual(node)
    let part: Bytes
    switch virtual {
    case .stats(let host), .health(let host):
      part = Bytes(Array(report(node, virtual, host).dropFirst(Int(clamping: offset)).prefix(count)))
    case .checksumFile, .metadata:
      part = Bytes(capacity: count)
      part.count = try generated(node, virtual).read(at: offset, into: part.whole)
    default: throw Errno.isDirectory
    }
    return [BytesSlice(part, offset: 0, count: part.count)]
  }

  /// The content of a generated file; made once for each state of the catalog.
  func generated(_ number: UInt64, _ node: VirtualNode) throws -> GeneratedFile {
    if let known = state.withLock({ $0.generated[number] }) { return known }
    let generation = state.withLock { $0.generation }
    let file = try GeneratedFile { put in
      switch node {
      case .checksumFile(let host, let name):
        for member in checksumMembers(host, name) { try checksums.write(reader(member), to: put) }
      case .metadata(let host):
        let snapshots = hostView(host)?.snapshots.map(\.snapshot) ?? []
        // Counted by the trees, which are held to it; what a record says of itself may be anything.
        let entries = snapshots.reduce(0) { $0 &+ $1.record.root.below }
        let files: ((CatalogedSnapshot) -> SnapshotReader)? =
          entries <= Self.filesInMetadataMax ? { self.reader($0) } : nil
        try CatalogDocument(snapshots, files: files).write(to: put)
      default: throw Errno.invalid
      }
    }
    state.withLock { if $0.generation == generation { $0.generated[number] = file } }
    return file
  }

  package func seek(_ node: UInt64, from offset: UInt64, toHole: Bool) throws(Errno) -> UInt64 {
    try guarding("Looking for holes") {
      guard NodeNumber.view(node) != 0 else {
        if toHole { return try info(virtual(node)).size }
        return offset
      }
      let (view, found) = try contentEntry(node)
      guard case .file(let size, let content) = found.entry.body else { throw Errno.invalid }
      guard offset < size, let at = try view.content.seek(content, size: size, from: offset, toHole: toHole) else {
        throw Errno(rawValue: ENXIO)
      }
      return at
    }
  }

  package func attributeNames(of node: UInt64) throws(Errno) -> [[UInt8]] {
    try guarding("Listing attributes") {
      guard NodeNumber.view(node) != 0 else { return [] }
      let (view, found) = try entry(node)
      return view.role == .versions || view.role == .versionLink ? [] : found.entry.attributes.map(\.name)
    }
  }

  package func attribute(_ name: [UInt8], of node: UInt64) throws(Errno) -> [UInt8] {
    try guarding("Reading an attribute") {
      guard NodeNumber.view(node) != 0 else { throw Errno.noData }
      let (view, found) = try entry(node)
      guard view.role != .versions, view.role != .versionLink else { throw Errno.noData }
      if let own = found.entry.attributes.first(where: { $0.name == name }) { return own.value }
      switch String(decoding: name, as: UTF8.self) {
      case "user.yester.snapshot": return Array(view.reader.snapshot.record.name.utf8)
      case "user.yester.sha256":
        guard case .file(let size, let content) = found.entry.body else { throw Errno.noData }
        return Array(try digest(content, size, view).utf8)
      default: throw Errno.noData
      }
    }
  }

  /// Files with very large holes have no stored SHA-256: it is worked out now, which takes its time.
  private func digest(_ content: FileContent, _ size: UInt64, _ view: SnapshotView) throws -> String {
    if let known = content.sha256(size: size) { return known }
    let hash = SHA256()
    let zeros = [UInt8](repeating: 0, count: 1 << 20)
    try view.content.forEachPiece(of: content, size: size, from: 0) { _, piece in
      if let chunk = piece.chunk {
        try view.content.chunk(chunk, length: piece.length).withBytes { hash.update($0) }
      } else {
        var left = piece.length
        while left > 0 {
          let part = Int(min(left, UInt64(zeros.count)))
          zeros.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<part])) }
          left -= UInt64(part)
        }
      }
      return true
    }
    return hash.finish().hex
  }
}
