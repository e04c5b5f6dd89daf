package import Platform

/// What a repository does so that damage heals (docs/format.md, section 12): nothing, or parity in large objects and
/// a second copy of the others.
package enum Protection: String, Sendable, CaseIterable { case none, parity }

/// The object `config` (docs/format.md, section 3). The digest is given from outside: this module has no
/// cryptography.
package struct RepositoryConfig: Sendable, Equatable {
  package let id: RepositoryID
  /// Ed25519, 32 bytes: its holders say who may read and write.
  package let rootPublicKey: [UInt8]
  package let protection: Protection

  /// The id is made of the root key, so that whoever knows the id cannot be given another root.
  package init(rootPublicKey: [UInt8], protection: Protection = .none, digest: ([UInt8]) -> [UInt8]) {
    self.rootPublicKey = rootPublicKey
    self.protection = protection
    id = RepositoryID(Array(digest(Array("yester repository 1".utf8) + rootPublicKey).prefix(16)))
  }

  package func encode(digest: ([UInt8]) -> [UInt8]) -> [UInt8] {
    let words = ["id \(id)", "root \(Hex.encode(rootPublicKey))", "protection \(protection.rawValue)"]
    let head = Array(("yester repository\nformat 1\n" + words.joined(separator: "\n") + "\n").utf8)
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
    guard lines.count == 7, lines[3].hasPrefix("root "), let root = Hex.decode(lines[3].dropFirst(5)),
      root.count == 32, lines[4].hasPrefix("protection "),
      let protection = Protection(rawValue: String(lines[4].dropFirst(11)))
    else { throw FormatError("the object \"config\" is damaged") }
    self.init(rootPublicKey: root, protection: protection, digest: digest)
    guard encode(digest: digest) == bytes else { throw FormatError("the object \"config\" is damaged") }
  }
}
