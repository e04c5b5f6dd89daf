internal import RepositoryCore
internal import ChunkCodec
internal import Glibc
internal import Platform
package import Reporting
internal import RepositoryFormat
package import SnapshotTree

/// Reads what a snapshot added or changed through a real mount, and compares it with what was seen at the source.
package enum MountVerification {
  package struct Result: Sendable {
    package var files: UInt64 = 0
    package var bytes: UInt64 = 0
    package var findings: [Verify.Finding] = []
  }
  private static let findingsMax = 1000

  /// `directory` shows the snapshot in the mount. Files that are the same in `base` were read when that was made.
  package static func run(
    _ reader: SnapshotReader, base: SnapshotReader?, mountedAt directory: String, progress: RunProgress
  ) throws -> Result {
    let run = MountVerificationRun(reader, base, progress)
    do throws(Errno) {
      run.root = try Descriptor.open(directory, Descriptor.directoryFlags)
    } catch {
      throw YesterError.system("Opening the mounted snapshot", directory, error)
    }
    try run.count()
    try reader.walk(from: reader.root) { node, path in
      try progress.throwIfStopped()
      return try run.visit(node, path)
    }
    return run.result
  }

  private final class MountVerificationRun {
    private let reader: SnapshotReader
    private let base: SnapshotReader?
    private let progress: RunProgress
    private let hash = SHA256()
    private let buffer = Bytes(capacity: 1 << 20)
    private let content: FileContentReader
    private var directory: (path: [UInt8], open: Descriptor)?
    var root: Descriptor?
    var result = Result()

    init(_ reader: SnapshotReader, _ base: SnapshotReader?, _ progress: RunProgress) {
      self.reader = reader
      self.base = base
      self.progress = progress
      content = FileContentReader(tree: reader.tree, keySet: reader.snapshot.keySet)
    }

    private enum Visit {
      case pass
      /// A directory in which nothing has changed.
      case stayOut
      case check(size: UInt64, FileContent)
    }

    private func visit(of node: SnapshotNode, _ path: [UInt8]) throws -> Visit {
      let old = try base?.node(at: path)?.entry
      if let old, case .directory(_, let was) = old.body, case .directory(_, let now) = node.entry.body, was == now {
        return .stayOut
      }
      guard case .file(let size, let body) = node.entry.body, old?.body != node.entry.body else { return .pass }
      return .check(size: size, body)
    }

    /// Finds out how much there is to check: little beside the checking.
    func count() throws {
      var (files, bytes): (UInt64, UInt64) = (0, 0)
      try reader.walk(from: reader.root) { node, path in
        try progress.throwIfStopped()
        switch try visit(of: node, path) {
        case .pass: return true
        case .stayOut: return false
        case .check(let size, _):
          files += 1
          bytes.addClamped(size)
          return true
        }
      }
      progress.begin(.verify, entries: files, bytes: bytes)
    }

    /// Whether to go into a directory.
    func visit(_ node: SnapshotNode, _ path: [UInt8]) throws -> Bool {
      switch try visit(of: node, path) {
      case .pass: return true
      case .stayOut: return false
      case .check(let size, let body):
        progress.setPath(path)
        do throws(Errno) {
          try check(node.entry, size, body, path)
        } catch {
          find("reading it through the mount failed: \(error)", path)
        }
        result.files += 1
        result.bytes.addClamped(size)
        progress.add(entries: 1)
        return true
      }
    }

    private func find(_ message: String, _ path: [UInt8]) {
      guard result.findings.count < MountVerification.findingsMax else { return }
      result.findings.append(Verify.Finding(message: message, snapshot: reader.snapshot.record.name, path: path))
    }

    private func open(_ path: [UInt8]) throws(Errno) -> Descriptor {
      let slash = path.lastIndex(of: 0x2F)
      let above = slash.map { Array(path[..<$0]) } ?? []
      let name = slash.map { Array(path[($0 + 1)...]) } ?? path
      if directory?.path != above {
        guard var open = root else { throw .notFound }
        // One component at a time: the whole path may be longer than the kernel takes.
        for part in above.split(separator: 0x2F) {
          open = try Descriptor.open(Array(part), at: open, Descriptor.directoryFlags)
        }
        directory = (above, open)
      }
      return try Descriptor.open(name, at: directory?.open, Descriptor.noFollow)
    }

    private func check(_ entry: Entry, _ size: UInt64, _ body: FileContent, _ path: [UInt8]) throws(Errno) {
      let file = try open(path)
      let status = try file.status()
      guard status.size == size, status.modified == entry.modified, status.permissions == entry.permissions else {
        return find("the mount shows another size, time or mode than the source had", path)
      }
      guard let expected = size == 0 ? hash.finishEmpty() : body.digest else {
        return try checkPieces(file, size, body, path)
      }
      hash.start()
      var offset: UInt64 = 0
      while offset < size {
        let got = try file.read(into: buffer.whole, at: Int64(offset))
        if got == 0 { break }
        hash.update(UnsafeRawBufferPointer(buffer.whole.rebased(got)))
        offset += UInt64(got)
        progress.add(bytes: UInt64(got))
      }
      if hash.finish() != expected { find("the mount shows another content than the source had", path) }
    }

    /// A file whose holes are too large to be hashed: its data alone are compared.
    private func checkPieces(_ file: Descriptor, _ size: UInt64, _ body: FileContent, _ path: [UInt8]) throws(Errno) {
      let large = Bytes(capacity: Limits.chunkSizeMax)
      do {
        try content.forEachPiece(of: body, size: size, from: 0) { offset, piece in
          guard let chunk = piece.chunk else {
            progress.add(skippedBytes: piece.length)
            return true
          }
          progress.add(bytes: piece.length)
          let part = large.whole.rebased(Int(piece.length))
          let got = try file.read(into: part, at: Int64(offset))
          let id = reader.tree.reader.chunkID(hash.hash(UnsafeRawBufferPointer(part)), reader.snapshot.keySet)
          if got != part.count || id != chunk {
            find("the mount shows another content at byte \(offset) than the source had", path)
            return false
          }
          return true
        }
      } catch let error as Errno {
        throw error
      } catch {
        find("its list of pieces cannot be read: \(error)", path)
      }
    }
  }
}

extension SHA256 {
  /// The hash of nothing.
  fileprivate func finishEmpty() -> Digest {
    start()
    return finish()
  }
}
