internal import Documents
internal import RepositoryFormat
internal import SnapshotTree

/// Checksums of all files of a snapshot in the form that `sha256sum -c` reads.
///
/// A file's size must be known before it is read, and there is one for every snapshot; so the size is added up from
/// sizes of directories, which snapshots share: only what changed is looked at again.
final class ChecksumList: Sendable {
  /// Digest, two spaces, line end.
  private static let lineOverhead: UInt64 = 64 + 2 + 1

  /// What a directory contributes, with paths relative to it.
  fileprivate struct Share: Sendable {
    /// Lines, and those of them whose path needs escaping.
    var lines: UInt64 = 0
    var escaped: UInt64 = 0
    /// Bytes of all paths, each escape counted.
    var pathBytes: UInt64 = 0

    /// The same below a directory of this name.
    func below(_ name: [UInt8]) -> Share {
      let specials = UInt64(name.count { ChecksumList.needsEscape($0) })
      return Share(
        lines: lines, escaped: specials > 0 ? lines : escaped,
        pathBytes: pathBytes + lines * (UInt64(name.count) + 1 + specials))
    }
    mutating func add(_ other: Share) {
      lines += other.lines
      escaped += other.escaped
      pathBytes += other.pathBytes
    }
  }

  private let shares = CostCache<ObjectID, Share>(limit: 100_000)

  fileprivate static func needsEscape(_ byte: UInt8) -> Bool { byte == 0x5C || byte == 0x0A || byte == 0x0D }

  /// Exactly as many bytes as `write` will give.
  func size(_ reader: SnapshotReader) throws -> UInt64 {
    struct Level {
      let node: SnapshotNode
      let listing: ObjectID
      var position: UInt64 = 0
      var share = Share()
    }
    guard case .directory(_, let listing) = reader.root.entry.body else { return 0 }
    var stack = [Level(node: reader.root, listing: listing)]
    var whole = Share()
    while let top = stack.last {
      var next: Level?
      var position = top.position
      var share = top.share
      try reader.forEachChild(of: top.node, from: top.position) { child, at in
        position = at + 1
        switch child.entry.body {
        case .file(let size, let content) where size == 0 || content.digest != nil:
          share.add(Share(lines: 1).below(child.entry.name).withoutSlash)
        case .directory(_, let inner):
          if let known = shares[inner] {
            share.add(known.below(child.entry.name))
          } else {
            next = Level(node: child, listing: inner)
          }
        default: break
        }
        return next == nil
      }
      stack[stack.count - 1].position = position
      stack[stack.count - 1].share = share
      if let next {
        stack.append(next)
        continue
      }
      stack.removeLast()
      shares.insert(top.listing, share, cost: 1)
      if stack.isEmpty { whole = share } else { stack[stack.count - 1].share.add(share.below(top.node.entry.name)) }
    }
    return whole.lines * Self.lineOverhead + whole.escaped + whole.pathBytes
  }

  func write(_ reader: SnapshotReader, to put: ([UInt8]) throws -> Void) throws {
    try reader.walk(from: reader.root) { node, path in
      if case .file(let size, let content) = node.entry.body {
        if let digest = content.sha256(size: size) { try put(Self.line(digest, path)) }
      }
      return true
    }
  }

  /// A name with a backslash or a line break is escaped, and the line then begins with a backslash (coreutils).
  private static func line(_ digest: String, _ path: [UInt8]) -> [UInt8] {
    var out = Array((path.contains(where: needsEscape) ? "\\" : "").utf8) + Array(digest.utf8) + [0x20, 0x20]
    for byte in path {
      switch byte {
      case 0x5C: out += Array("\\\\".utf8)
      case 0x0A: out += Array("\\n".utf8)
      case 0x0D: out += Array("\\r".utf8)
      default: out.append(byte)
      }
    }
    return out + [0x0A]
  }
}

extension ChecksumList.Share {
  /// A file's own name has no slash behind it.
  fileprivate var withoutSlash: Self {
    var share = self
    share.pathBytes -= share.lines
    return share
  }
}
