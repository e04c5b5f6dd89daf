internal import Glibc
internal import Platform
internal import SnapshotTree
internal import Synchronization

/// A file system in memory, to test the adapter with.
final class MemoryModel: FileSystemModel {
  struct Node: Sendable {
    var info: NodeInfo
    var parent: UInt64
    var content: [UInt8] = []
    var children: [[UInt8]] = []
    var byName: [[UInt8]: UInt64] = [:]
    var attributes: [[UInt8]: [UInt8]] = [:]
    /// Where data begins and holes begin, for a file that is `content` at the end of a hole.
    var holeSize: UInt64 = 0
    /// Made anew for each question.
    var generate: (@Sendable () -> [UInt8])?
    /// A read hangs for so long.
    var delaySeconds: UInt32 = 0
  }

  struct State: Sendable {
    var nodes: [UInt64: Node] = [:]
    var next: UInt64 = 2
    /// Changes that the next refresh brings.
    var pending: [(name: [UInt8], change: @Sendable (inout State) -> Void)] = []
    var refreshes = 0
    var isClosed = false
  }

  let state: Mutex<State>
  static let moment = Timestamp(seconds: 1_700_000_000, nanoseconds: 123_456_789)

  init(_ build: (inout State) -> Void = { _ in }) {
    var initial = State()
    initial.nodes[1] = Node(info: Self.info(1, 0o040755, isImmutable: false), parent: 1)
    build(&initial)
    state = Mutex(initial)
  }

  static func info(_ node: UInt64, _ mode: UInt32, size: UInt64 = 0, isImmutable: Bool = true) -> NodeInfo {
    NodeInfo(
      node: node,
      inode: node,
      mode: mode,
      links: mode & 0o170000 == 0o040000 ? 2 : 1,
      size: size,
      blocks: (size + 511) / 512,
      modified: moment,
      changed: moment,
      isImmutable: isImmutable
    )
  }

  private func node(_ number: UInt64) throws(Errno) -> Node {
    guard let node = state.withLock({ $0.nodes[number] }) else { throw .stale }
    return node
  }

  private static func present(_ node: Node) -> NodeInfo {
    var info = node.info
    if let generate = node.generate { info.size = UInt64(generate().count) }
    return info
  }

  func attributes(of node: UInt64) throws(Errno) -> NodeInfo { Self.present(try self.node(node)) }

  func found(_ node: UInt64) throws(Errno) -> NodeInfo { try attributes(of: node) }

  func lookUp(_ name: UnsafeRawBufferPointer, in directory: UInt64) throws(Errno) -> NodeInfo {
    let key = Array(name)
    let found = state.withLock { state in state.nodes[directory]?.byName[key].flatMap { state.nodes[$0] } }
    guard let found else { throw .notFound }
    return Self.present(found)
  }

  func list(
    _ directory: UInt64,
    from offset: UInt64,
    _ body: (UnsafeRawBufferPointer, NodeInfo, UInt64) -> Bool
  ) throws(Errno) {
    var position = Int(offset)
    while true {
      let batch = try state.withLock { state throws(Errno) -> [([UInt8], NodeInfo)] in
        guard let node = state.nodes[directory] else { throw .stale }
        guard position < node.children.count else { return [] }
        return node.children[position..<min(position + 64, node.children.count)].compactMap { name in
          node.byName[name].flatMap { state.nodes[$0] }.map { (name, Self.present($0)) }
        }
      }
      if batch.isEmpty { return }
      for (name, info) in batch {
        position += 1
        guard name.withUnsafeBytes({ body($0, info, UInt64(position)) }) else { return }
      }
    }
  }

  func parent(of directory: UInt64) throws(Errno) -> UInt64 { try node(directory).parent }
  func readLink(_ node: UInt64) throws(Errno) -> [UInt8] { try self.node(node).content }

  func read(_ node: UInt64, at offset: UInt64, count: Int) throws(Errno) -> [BytesSlice] {
    let file = try self.node(node)
    if file.delaySeconds > 0 { sleep(file.delaySeconds) }
    let content = file.generate?() ?? file.content
    let size = file.holeSize + UInt64(content.count)
    guard offset < size else { return [] }
    let end = min(size, offset + UInt64(count))
    let hole = offset < file.holeSize ? min(end, file.holeSize) - offset : 0
    var part = [UInt8](repeating: 0, count: Int(hole))
    if end > file.holeSize { part += content[Int(offset + hole - file.holeSize)..<Int(end - file.holeSize)] }
    return [BytesSlice(Bytes(part), offset: 0, count: part.count)]
  }

  func seek(_ node: UInt64, from offset: UInt64, toHole: Bool) throws(Errno) -> UInt64 {
    let file = try self.node(node)
    let size = file.holeSize + UInt64(file.content.count)
    guard offset < size else { throw Errno(rawValue: ENXIO) }
    if toHole { return offset < file.holeSize ? offset : size }
    return max(offset, file.holeSize)
  }

  func attributeNames(of node: UInt64) throws(Errno) -> [[UInt8]] {
    try self.node(node).attributes.keys.sorted { $0.precedes($1) }
  }

  func attribute(_ name: [UInt8], of node: UInt64) throws(Errno) -> [UInt8] {
    guard let value = try self.node(node).attributes[name] else { throw .noData }
    return value
  }

  func refresh() throws(Errno) -> [[UInt8]] {
    state.withLock { state in
      state.refreshes += 1
      let pending = state.pending
      state.pending = []
      for item in pending { item.change(&state) }
      return pending.map(\.name)
    }
  }

  func close() { state.withLock { $0.isClosed = true } }
}

extension MemoryModel.State {
  @discardableResult
  mutating func add(
    _ name: String,
    in directory: UInt64,
    mode: UInt32,
    _ content: [UInt8] = [],
    isImmutable: Bool = true,
    _ change: (inout MemoryModel.Node) -> Void = { _ in }
  ) -> UInt64 {
    let number = next
    next += 1
    var node = MemoryModel.Node(
      info: MemoryModel.info(number, mode, size: UInt64(content.count), isImmutable: isImmutable),
      parent: directory
    )
    node.content = content
    change(&node)
    nodes[number] = node
    nodes[directory]?.children.append(Array(name.utf8))
    nodes[directory]?.byName[Array(name.utf8)] = number
    return number
  }

  mutating func remove(_ name: String, in directory: UInt64) {
    nodes[directory]?.children.removeAll { $0 == Array(name.utf8) }
    nodes[directory]?.byName[Array(name.utf8)] = nil
  }
}

extension MemoryModel {
  /// A snapshot of `files` small files, ten to a directory, and one of everything else.
  static func sample(files: Int, largeSize: Int = 1 << 20) -> MemoryModel {
    let model = MemoryModel { state in
      let snapshot = state.add("20261120", in: 1, mode: 0o040755)
      var directory = snapshot
      for number in 0..<files {
        if number % 10 == 0 { directory = state.add("dir\(number / 10)", in: snapshot, mode: 0o040755) }
        let text = Array("file \(number)\n".utf8)
        var content: [UInt8] = []
        while content.count < 200 + number * 37 % 12000 { content.append(contentsOf: text) }
        state.add("file\(number)", in: directory, mode: 0o100644, content)
      }
      let other = state.add("other", in: snapshot, mode: 0o040755)
      state.add("link", in: other, mode: 0o120777, Array("../dir0/file0".utf8))
      state.add("fifo", in: other, mode: 0o010644)
      state.add("null", in: other, mode: 0o020666) { node in
        node.info.deviceMajor = 1
        node.info.deviceMinor = 3
      }
      state.add("setuid", in: other, mode: 0o104755, Array("#!/bin/sh\nid -u\n".utf8))
      state.add("attributed", in: other, mode: 0o100664, Array("x".utf8)) { node in
        node.attributes[Array("user.color".utf8)] = Array("blue".utf8)
        node.info.user = 1000
        // user::rw-, user:65534:rw-, group::r--, mask::rw-, other::---
        node.info.mode = 0o100660
        node.attributes[Array("system.posix_acl_access".utf8)] = accessList
      }
      state.add("holes", in: other, mode: 0o100644, Array("end".utf8)) { node in
        node.holeSize = 10 << 20
        node.info.size = (10 << 20) + 3
        node.info.blocks = 8
      }
      state.add("large", in: other, mode: 0o100644, pattern(largeSize))
      state.add("slow", in: other, mode: 0o100644, Array("slow".utf8)) { $0.delaySeconds = 3600 }
      state.add("latest", in: 1, mode: 0o120777, Array("20261120".utf8), isImmutable: false)
      let yester = state.add(".yester", in: 1, mode: 0o040755, isImmutable: false)
      state.add("stats", in: yester, mode: 0o100444, isImmutable: false) { node in
        node.generate = {
          Array("\(Timestamp.now().seconds) \(String(repeating: "*", count: Int(Timestamp.now().seconds % 7)))\n".utf8)
        }
      }
    }
    return model
  }

  static func pattern(_ size: Int) -> [UInt8] {
    (0..<size).map { UInt8(truncatingIfNeeded: ($0 &* 7) >> 3) }
  }

  /// posix_acl_xattr version 2: tag, permissions, id of each entry (linux/posix_acl_xattr.h).
  static let accessList: [UInt8] = {
    var writer = ByteWriter()
    writer.u32(2)
    let entries: [(UInt16, UInt16, UInt32)] = [
      (0x01, 6, .max), (0x02, 6, 65534), (0x04, 4, .max), (0x10, 6, .max), (0x20, 0, .max),
    ]
    for (tag, permissions, id) in entries {
      writer.u16(tag)
      writer.u16(permissions)
      writer.u32(id)
    }
    return writer.bytes
  }()
}
