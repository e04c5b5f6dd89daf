package import Platform

/// What a repository does so that damage heals (docs/format.md, section 12): nothing, or parity in large objects and
/// a second copy of the others.
package enum Protection: String, Sendable, CaseIterable { case none, parity }

/// The object `config` (docs/format.md, section 3). The digest is given from outside: this module has no
/// cryptography.
package struct RepositoryConfig: Sendable, Equatable {
  package let id: RepositoryID
  package let protection: Protection

  package init(id: RepositoryID, protection: Protection = .none) {
    self.id = id
    self.protection = protection
  }

  package func encode(digest: ([UInt8]) -> [UInt8]) -> [UInt8] {
    let head = Array("yester repository\nformat 1\nid \(id)\nprotection \(protection.rawValue)\n".utf8)
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
    guard lines.count == 6, lines[2].hasPrefix("id "), let id = Hex.decode(lines[2].dropFirst(3)), id.count == 16,
      lines[3].hasPrefix("protection "), let protection = Protection(rawValue: String(lines[3].dropFirst(11)))
    else { throw FormatError("the object \"config\" is damaged") }
    self.id = RepositoryID(id)
    self.protection = protection
    guard encode(digest: digest) == bytes else { throw FormatError("the object \"config\" is damaged") }
  }
}
