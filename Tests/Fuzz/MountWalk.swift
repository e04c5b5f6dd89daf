// Asks a mount what the kernel may ask, and compares the answers with each other.
import Platform
internal import MountNamespace
internal import RepositoryFormat
@testable internal import SnapshotTree

struct MountWalk {
  private let mount: Namespace
  private let readsGenerated: Bool
  /// Nodes that were seen, to ask about.
  private var nodes: [UInt64] = [1]
  private var steps = 0
  private static let stepsMax = 150

  init(_ mount: Namespace, readsGenerated: Bool) {
    self.mount = mount
    self.readsGenerated = readsGenerated
  }

  /// Everything that listings lead to, as far as the steps go.
  mutating func explore() {
    var next = 0
    while next < nodes.count, steps < Self.stepsMax {
      let node = nodes[next]
      next += 1
      guard let info = accepted({ try mount.attributes(of: node) }) else { continue }
      expect(info.node == node, "a node tells its own number")
      if info.mode & 0o170000 == 0o040000 {
        _ = accepted { try mount.parent(of: node) }
        list(node)
      } else {
        look(node, info, at: 0, count: 100)
      }
    }
  }

  private mutating func list(_ directory: UInt64) {
    var children: [(name: [UInt8], info: NodeInfo, next: UInt64)] = []
    let isWhole: Void? = accepted {
      try mount.list(directory, from: 0) { name, info, next in
        children.append((Array(name), info, next))
        return children.count < 40
      }
    }
    for (index, child) in children.enumerated() {
      steps += 1
      expect(child.name.withUnsafeBytes { isValidName($0) }, "a listed name is one that a file can have")
      if !nodes.contains(child.info.node) { nodes.append(child.info.node) }
      guard isWhole != nil, index < 8 else { continue }
      let found = accepted { try child.name.withUnsafeBytes { try mount.lookUp($0, in: directory) } }
      expect(found == nil || found?.node == child.info.node, "a listed name leads to the listed node")
      var following: [UInt8]?
      _ = accepted {
        try mount.list(directory, from: child.next) { name, _, _ in
          following = Array(name)
          return false
        }
      }
      if index + 1 < children.count { expect(following == children[index + 1].name, "a listing goes on where it was") }
    }
  }

  private func look(_ node: UInt64, _ info: NodeInfo, at offset: UInt64, count: Int) {
    _ = accepted { try mount.readLink(node) }
    for name in accepted({ try mount.attributeNames(of: node) }) ?? [] {
      expect(accepted { try mount.attribute(name, of: node) } != nil, "a listed attribute is there")
    }
    _ = accepted { try mount.attribute(Array("user.yester.snapshot".utf8), of: node) }
    if info.size < 1 << 20 { _ = accepted { try mount.attribute(Array("user.yester.sha256".utf8), of: node) } }
    for toHole in [false, true] { _ = accepted { try mount.seek(node, from: offset, toHole: toHole) } }
    // What is in no snapshot may be made anew between two reads, and its size with it.
    guard NodeNumber.view(node) != 0 else {
      if readsGenerated { _ = accepted { try readVirtual(node, offset, count) } }
      return
    }
    checkRead(size: info.size, at: offset, count: count) { buffer in
      var done = 0
      for part in try mount.read(node, at: offset, count: buffer.count) {
        part.withBytes { UnsafeMutableRawBufferPointer(rebasing: buffer[done...]).copyMemory(from: $0) }
        done += part.count
      }
      return done
    }
  }

  private func readVirtual(_ node: UInt64, _ offset: UInt64, _ count: Int) throws {
    _ = try mount.read(node, at: offset, count: count)
  }

  mutating func ask(_ bytes: [UInt8]) {
    var questions = Questions(bytes)
    while !questions.isAtEnd {
      let choice = questions.byte()
      let node = choice & 1 == 0 ? nodes[Int(choice >> 1) % nodes.count] : questions.number()
      let offset = questions.number()
      guard let info = accepted({ try mount.attributes(of: node) }) else { continue }
      _ = accepted { try mount.parent(of: node) }
      _ = accepted { try mount.list(node, from: offset) { _, _, _ in false } }
      let name = (0..<(questions.byte() & 15)).map { _ in questions.byte() }
      if let child = accepted({ try name.withUnsafeBytes { try mount.lookUp($0, in: node) } }) {
        nodes.append(child.node)
      }
      look(node, info, at: offset, count: Int(questions.number() % 10_000))
    }
  }
}
