package import Platform

/// The 16 bytes that tell one repository from another: the beginning of a hash of its root key.
package struct RepositoryID: Hashable, Sendable, CustomStringConvertible {
  package let bytes: [UInt8]
  package init(_ bytes: [UInt8]) {
    precondition(bytes.count == 16, "a repository id has 16 bytes")
    self.bytes = bytes
  }
  package var description: String { Hex.encode(bytes) }
}

/// The first 32 bytes of every object but `config` (docs/format.md, section 2).
package enum CommonHeader {
  package static let size = 32
  package static let version: UInt32 = 1

  package enum Magic: String, Sendable {
    case slot = "YSTRSLOT"
    case pack = "YSTRPACK"
    case index = "YSTRINDX"
    case snapshot = "YSTRSNAP"
    case note = "YSTRNOTE"
    case lease = "YSTRLEAS"
    case condemned = "YSTRCOND"
    case epoch = "YSTREPOC"
  }

  package static func write(_ magic: Magic, _ repository: RepositoryID, to out: inout ByteWriter) {
    out.raw(Array(magic.rawValue.utf8))
    out.u32(version)
    out.u32(0)
    out.raw(repository.bytes)
  }

  /// Reads the header and returns which of `allowed` it is.
  @discardableResult
  package static func read(
    _ allowed: Magic..., of repository: RepositoryID, from reader: inout ByteReader
  ) throws(FormatError) -> Magic {
    let raw = try reader.take(8)
    guard let magic = allowed.first(where: { raw.equals(Array($0.rawValue.utf8)) }) else {
      throw FormatError("it is not what its place says (it does not begin with \(allowed[0].rawValue))")
    }
    let found = try reader.u32()
    guard found <= version else {
      throw FormatError("it has format version \(found), which needs a newer yester", .needsNewerVersion)
    }
    guard found == version, try reader.u32() == 0 else { throw FormatError("its header is damaged") }
    guard try reader.take(16).equals(repository.bytes) else { throw FormatError("it belongs to another repository") }
    return magic
  }
}

extension ByteReader {
  package mutating func zeros(_ count: Int) throws(FormatError) {
    guard try take(count).allSatisfy({ $0 == 0 }) else { throw FormatError("reserved bytes are not zero") }
  }
}
