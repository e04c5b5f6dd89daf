package import Platform

/// The object `config` (docs/format.md, section 3). The digest is given from outside: this module has no
/// cryptography.
package struct RepositoryConfig: Sendable, Equatable {
  package let id: RepositoryID

  package init(id: RepositoryID) { self.id = id }

  package func encode(digest: ([UInt8]) -> [UInt8]) -> [UInt8] {
    let head = Array("yester repository\nformat 1\nid \(id)\n".utf8)
    return head + Array("check \(Hex.encode(digest(head).prefix(8)))\n".utf8)
  }

  package init(decoding bytes: [UInt8], digest: ([UInt8]) -> [UInt8]) throws(FormatError) {
    let lines = String(decoding: bytes.prefix(Limits.configSizeMax), as: UTF8.self)
      .split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.count >= 2, lines[0] == "yester repository", lines[1].hasPrefix("format "),
      let version = UInt32(lines[1].dropFirst(7)), version > 0
    else { throw FormatError("the object \"config\" is damaged or not that of a yester repository") }
    guard version == 1 else {
      throw FormatError(
        "the repository has format \(version), which needs a newer yester; this one reads format 1",
        .needsNewerVersion)
    }
    guard lines.count == 5, lines[2].hasPrefix("id "), let id = Hex.decode(lines[2].dropFirst(3)), id.count == 16
    else { throw FormatError("the object \"config\" is damaged") }
    self.id = RepositoryID(id)
    guard encode(digest: digest) == bytes else { throw FormatError("the object \"config\" is damaged") }
  }
}
