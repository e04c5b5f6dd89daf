internal import Platform
internal import RepositoryCore
internal import Reporting
internal import RepositoryFormat
package import SnapshotTree

/// The bytes of one file of a snapshot, in order.
package struct SnapshotFile {
  /// For people: the snapshot's name, a colon and the path as it was given.
  package let name: String
  private let content: FileContent
  private let size: UInt64
  private let source: FileContentReader

  /// What holes read as, a part at a time.
  private static let zeros = [UInt8](repeating: 0, count: 1 << 20)

  /// The file that the user named; symbolic links are followed inside of the snapshot. Throws error 1 when there is
  /// none, or when it is no regular file.
  package init(_ explorer: Explorer, _ reader: SnapshotReader, _ path: [UInt8]) throws {
    name = reader.snapshot.record.name + ":" + printable(Explorer.normal(path))
    guard let (node, real) = try reader.resolve(path) else {
      throw YesterError(
        .failed, try Self.absence(name, reader, path),
        advice: "Look with \"yester ls\" or \"yester find\", or with \"yester versions\" which snapshots hold it.")
    }
    guard case .file(let size, let content) = node.entry.body else {
      let advice =
        node.entry.isDirectory
        ? "List it with \"yester ls \(reader.snapshot.record.name):\(printable(real))\"."
        : "Only regular files have bytes of their own."
      throw YesterError(.failed, "\(name) is \(Self.word(node.entry))", advice: advice)
    }
    self.size = size
    self.content = content
    source = FileContentReader(tree: explorer.tree, keySet: reader.snapshot.keySet, believesWriters: true)
  }

  private static func absence(_ name: String, _ reader: SnapshotReader, _ path: [UInt8]) throws -> String {
    if let link = try reader.node(at: path)?.entry, case .symbolicLink(let target) = link.body {
      return "\(name) is a symbolic link to \(printable(target).dropFirst()), which is not in the snapshot"
    }
    return "\(name) is not in the snapshot"
  }

  private static func word(_ entry: Entry) -> String {
    switch entry.type {
    case .directory: "a directory"
    case .fifo: "a FIFO"
    case .socket: "a socket"
    case .characterDevice, .blockDevice: "a device"
    case .file, .symbolicLink: "no regular file"
    }
  }

  /// Calls `put` with all bytes, a part at a time: a chunk, or a piece of a hole. Memory does not grow with the file.
  /// Damage is error 13 and names the first byte that could not be read; all before it has been put.
  package func write(to put: (UnsafeRawBufferPointer) throws -> Void) throws {
    var done: UInt64 = 0
    do {
      try source.forEachPiece(of: content, size: size, from: 0) { offset, piece in
        done = offset
        if let chunk = piece.chunk {
          try source.chunk(chunk, length: piece.length).withBytes(put)
        } else {
          try putZeros(piece.length, put)
        }
        done = offset + piece.length
        return true
      }
    } catch let error as YesterError where error.code == .damaged {
      throw YesterError(
        .damaged, "\(name) cannot be read from byte \(done) on: \(error.message)",
        advice: "What came before is right. Another snapshot may hold the whole file: see \"yester versions\".")
    }
  }

  private func putZeros(_ count: UInt64, _ put: (UnsafeRawBufferPointer) throws -> Void) throws {
    var left = count
    while left > 0 {
      let part = Int(min(left, UInt64(Self.zeros.count)))
      try Self.zeros.withUnsafeBytes { try put(UnsafeRawBufferPointer(rebasing: $0[..<part])) }
      left -= UInt64(part)
    }
  }
}
