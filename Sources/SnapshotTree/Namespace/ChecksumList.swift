internal import Platform
internal import RepositoryFormat

/// Checksums of all files of a snapshot in the form that `sha256sum -c` reads.
enum ChecksumList {
  /// SHA-256 of nothing.
  static let emptyDigest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

  static func write(_ reader: SnapshotReader, to put: ([UInt8]) throws -> Void) throws {
    try reader.walk(from: reader.root) { node, path in
      if case .file(let size, let content) = node.entry.body {
        if let digest = size == 0 ? emptyDigest : content.digest?.hex { try put(line(digest, path)) }
      }
      return true
    }
  }

  /// A name with a backslash or a line break is escaped, and the line then begins with a backslash (coreutils).
  private static func line(_ digest: String, _ path: [UInt8]) -> [UInt8] {
    let needsEscape = path.contains { $0 == 0x5C || $0 == 0x0A || $0 == 0x0D }
    var out = Array((needsEscape ? "\\" : "").utf8) + Array(digest.utf8) + [0x20, 0x20]
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
