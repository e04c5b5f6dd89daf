internal import CFuse
internal import Glibc
internal import Platform
internal import SnapshotTree

/// Fills the kernel's buffer with a part of a directory.
///
/// Positions as the client sees them: 1 is behind `.`, 2 behind `..`, and a child's is the model's and 2. They keep
/// their meaning while the mount lives, so `seekdir` and `rewinddir` need no state.
extension Adapter {
  /// `wantsNodes` says that the kernel takes attributes along with the names (READDIRPLUS).
  func list(
    _ directory: UInt64,
    from offset: Int64,
    _ size: Int,
    wantsNodes: Bool,
    _ request: fuse_req_t,
    _ reply: consuming Reply
  ) {
    if directory == Self.root { _ = refresher.refreshIfDue() }
    var reply: Reply? = reply
    ThreadBuffer.with(size) { buffer in
      guard let answer = reply.take() else { return }
      var page = Page(buffer: buffer, request: request, wantsNodes: wantsNodes)
      do throws(Errno) {
        try fill(&page, directory, from: UInt64(max(0, offset)))
      } catch {
        // What was read before an error is shown; the next call begins with the error.
        guard page.used > 0 else { return answer.error(error) }
      }
      if !page.holds.isEmpty { model.didChangeHolds(page.holds) }
      let isTaken = answer.bytes(UnsafeRawBufferPointer(rebasing: buffer[..<page.used]))
      if !isTaken && !page.holds.isEmpty {
        model.didChangeHolds(page.holds.map { HoldChange($0.node, -$0.count) })
      }
    }
  }

  private func fill(_ page: inout Page, _ directory: UInt64, from offset: UInt64) throws(Errno) {
    if offset == 0 {
      let own = try model.attributes(of: directory)
      guard own.isDirectory else { throw .notDirectory }
      guard page.addDots(".", own, next: 1) else { return }
    }
    if offset <= 1 {
      let above = try model.attributes(of: model.parent(of: directory))
      guard page.addDots("..", above, next: 2) else { return }
    }
    let lastChange = refresher.lastChange
    try model.list(directory, from: offset <= 2 ? 0 : offset - 2) { name, child, next in
      guard Page.isPossible(name) else {
        DriverLog.write(.error, "a name in directory \(directory) is not possible and left out")
        return true
      }
      return page.add(name, child, next: next + 2) {
        // A link that may change is left to be looked up: only a look-up can replace its inode.
        let isFixed = !child.isNameOnly && (child.isImmutable || !child.isLink)
        return isFixed ? answers.entry(child, in: directory, lastChange) : nil
      }
    }
  }
}

/// The kernel's buffer while it is being filled.
private struct Page {
  let buffer: UnsafeMutableRawBufferPointer
  let request: fuse_req_t
  let wantsNodes: Bool
  private(set) var used = 0
  /// Nodes that the kernel holds by what it gets.
  private(set) var holds: [HoldChange] = []

  init(buffer: UnsafeMutableRawBufferPointer, request: fuse_req_t, wantsNodes: Bool) {
    self.buffer = buffer
    self.request = request
    self.wantsNodes = wantsNodes
  }

  /// A name the kernel would refuse makes it refuse the whole directory.
  static func isPossible(_ name: UnsafeRawBufferPointer) -> Bool {
    guard let base = name.baseAddress, name.count >= 1, name.count <= Int(NAME_MAX) else { return false }
    return memchr(base, 0, name.count) == nil && memchr(base, CInt(UInt8(ascii: "/")), name.count) == nil
  }

  mutating func addDots(_ name: StaticString, _ info: NodeInfo, next: UInt64) -> Bool {
    add(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), info, next: next) { nil }
  }

  /// False when there is no room. Without an `entry` the kernel learns the name, inode and type only.
  mutating func add(
    _ name: UnsafeRawBufferPointer,
    _ info: NodeInfo,
    next: UInt64,
    _ entry: () -> fuse_entry_param?
  ) -> Bool {
    let room = buffer.count - used
    var held: UInt64 = 0
    let needed = withUnsafeTemporaryAllocation(byteCount: Int(NAME_MAX) + 1, alignment: 1) { terminated -> Int in
      guard let start = terminated.baseAddress, let source = name.baseAddress else { return 0 }
      start.copyMemory(from: source, byteCount: name.count)
      terminated[name.count] = 0
      let text = start.assumingMemoryBound(to: CChar.self)
      let pointer = buffer.baseAddress.map { ($0 + used).assumingMemoryBound(to: CChar.self) }
      guard wantsNodes else {
        var attributes = stat()
        attributes.st_ino = ino_t(info.inode)
        attributes.st_mode = info.mode
        return fuse_add_direntry(request, pointer, room, text, &attributes, off_t(next))
      }
      var nothing = fuse_entry_param()
      nothing.attr.st_ino = ino_t(info.inode)
      nothing.attr.st_mode = info.mode
      var entry = entry() ?? nothing
      held = entry.ino
      return fuse_add_direntry_plus(request, pointer, room, text, &entry, off_t(next))
    }
    guard needed <= room else { return false }
    used += needed
    if held != 0 { holds.append(HoldChange(held, 1)) }
    return true
  }
}
