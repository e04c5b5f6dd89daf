internal import ChunkCodec
internal import Glibc
package import Platform
internal import RepositoryFormat
internal import RepositoryStore
internal import Synchronization

/// The calls of the FUSE adapter.
extension Namespace {
  package func attributes(of node: UInt64) throws(Errno) -> NodeInfo {
    try guarding("Reading metadata") { try attributesOrThrow(node) }
  }

  func attributesOrThrow(_ node: UInt64) throws -> NodeInfo {
    if NodeNumber.view(node) == 0 { return try info(virtual(node)) }
    return info(try entry(node).1, view: NodeNumber.view(node))
  }

  func info(_ node: SnapshotNode, view: UInt64) -> NodeInfo {
    let entry = node.entry
    let number = NodeNumber.node(view: view, number: node.number)
    var info = NodeInfo(
      node: number, inode: entry.linkGroup.map { NodeNumber.inode(view: view, linkGroup: $0) } ?? number,
      mode: entry.type.modeBits | entry.permissions, links: entry.linkCount, user: entry.owner.user,
      group: entry.owner.group, modified: entry.modified, changed: entry.changed, isImmutable: true)
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

  private func dataSize(_ content: FileContent, _ size: UInt64, _ view: UInt64) -> UInt64 {
    switch content {
    case .empty, .single: return size
    default:
      guard let view = state.withLock({ $0.views[view] }) else { return size }
      return (try? view.content.dataSize(content, size: size)) ?? size
    }
  }

  package func lookUp(_ name: UnsafeRawBufferPointer, in directory: UInt64) throws(Errno) -> NodeInfo {
    try guarding("Looking up a name") {
      if NodeNumber.view(directory) == 0 {
        guard let found = try child(Array(name), of: virtual(directory)) else { throw Errno.notFound }
        return found
      }
      let (view, parent) = try entry(directory)
      guard parent.entry.isDirectory else { throw Errno.notDirectory }
      guard let found = try view.reader.child(name, of: parent) else { throw Errno.notFound }
      return info(found, view: NodeNumber.view(directory))
    }
  }

  package func list(
    _ directory: UInt64, from offset: UInt64, _ body: (UnsafeRawBufferPointer, NodeInfo, UInt64) -> Bool
  ) throws(Errno) {
    try guarding("Listing a directory") {
      let number = NodeNumber.view(directory)
      if number == 0 {
        try forEachChild(of: virtual(directory), from: Int(clamping: offset)) { name, child, next in
          name.withUnsafeBytes { body($0, child, UInt64(next)) }
        }
        return
      }
      let (view, parent) = try entry(directory)
      guard parent.entry.isDirectory else { throw Errno.notDirectory }
      try view.reader.forEachChild(of: parent, from: offset) { child, position in
        child.entry.name.withUnsafeBytes { body($0, info(child, view: number), position + 1) }
      }
    }
  }

  package func parent(of directory: UInt64) throws(Errno) -> UInt64 {
    try guarding("Looking for the directory above") {
      let number = NodeNumber.view(directory)
      guard number != 0 else { return try virtualParent(virtual(directory)) }
      let (view, node) = try entry(directory)
      return node.number == view.root ? view.above : NodeNumber.node(view: number, number: node.parent)
    }
  }

  private func virtualParent(_ node: VirtualNode) -> UInt64 {
    switch node {
    case .top, .host: 1
    case .latest(let host), .yester(let host): number(.host(host))
    case .versions(let host, let path):
      path.isEmpty ? number(.yester(host: host)) : number(.versions(host: host, path: Self.above(path)))
    case .checksums(let host), .metadata(let host), .stats(let host), .health(let host): number(.yester(host: host))
    case .checksumFile(let host, _): number(.checksums(host: host))
    case .union(let host, let day, let path):
      path.isEmpty ? number(.host(host)) : number(.union(host: host, day: day, path: Self.above(path)))
    }
  }

  private static func above(_ path: [UInt8]) -> [UInt8] {
    path.lastIndex(of: 0x2F).map { Array(path[..<$0]) } ?? []
  }

  package func readLink(_ node: UInt64) throws(Errno) -> [UInt8] {
    try guarding("Reading a link") {
      if NodeNumber.view(node) == 0 {
        guard case .latest(let host) = try virtual(node), let latest = hostView(host)?.latest else {
          throw Errno.invalid
        }
        return Array(latest.utf8)
      }
      guard case .symbolicLink(let target) = try entry(node).1.entry.body else { throw Errno.invalid }
      return target
    }
  }

  package func read(_ node: UInt64, at offset: UInt64, count: Int) throws(Errno) -> [BytesSlice] {
    if NodeNumber.view(node) == 0 {
      return try guarding("Reading") { try readVirtual(node, at: offset, count) }
    }
    let view: View
    let found: SnapshotNode
    (view, found) = try guarding("Reading a file") { try entry(node) }
    do {
      guard case .file(let size, let content) = found.entry.body else { throw Errno.invalid }
      let parts = try view.content.parts(of: content, size: size, at: offset, count: count)
      readAhead.didRead(
        found.number, of: view, viewNumber: NodeNumber.view(node), at: offset,
        count: parts.reduce(0) { $0 + $1.count })
      return parts
    } catch let error as Errno { throw error } catch {
      let message = (error as? YesterError)?.message ?? "\(error)"
      let name = String(decoding: found.entry.name, as: UTF8.self)
      health.error("Reading \"\(name)\" in \(view.reader.snapshot.record.name) at byte \(offset): \(message).")
      throw .inputOutput
    }
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
        try MetadataCatalog.write(snapshots, files: entries <= Self.filesInMetadataMax, open: reader, to: put)
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
      let (view, found) = try entry(node)
      guard case .file(let size, let content) = found.entry.body else { throw Errno.invalid }
      guard offset < size, let at = try view.content.seek(content, size: size, from: offset, toHole: toHole) else {
        throw Errno(rawValue: ENXIO)
      }
      return at
    }
  }

  package func attributeNames(of node: UInt64) throws(Errno) -> [[UInt8]] {
    try guarding("Listing attributes") {
      NodeNumber.view(node) == 0 ? [] : try entry(node).1.entry.attributes.map(\.name)
    }
  }

  package func attribute(_ name: [UInt8], of node: UInt64) throws(Errno) -> [UInt8] {
    try guarding("Reading an attribute") {
      guard NodeNumber.view(node) != 0 else { throw Errno.noData }
      let (view, found) = try entry(node)
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
  private func digest(_ content: FileContent, _ size: UInt64, _ view: View) throws -> String {
    if size == 0 { return ChecksumList.emptyDigest }
    if let digest = content.digest { return digest.hex }
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
