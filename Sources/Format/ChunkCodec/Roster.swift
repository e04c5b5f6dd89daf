package import RepositoryFormat
internal import Platform

/// Which member a writer belongs to: it stays the same when the member's password, key file or writer key changes.
package struct MemberID: Hashable, Sendable, CustomStringConvertible {
  package let bytes: [UInt8]
  package init(_ bytes: [UInt8]) {
    precondition(bytes.count == 16, "a member's id has 16 bytes")
    self.bytes = bytes
  }
  package var description: String { Hex.encode(bytes) }
}

/// What somebody's word is worth, whose signature is right.
package enum WriterStanding: Sendable, Hashable {
  /// May speak for everything in the repository.
  case full
  /// May speak for what it has stored itself.
  case writeOnly(MemberID)
  /// Has been a member, or was one under this key. What it stored may be read, and proves itself by its hashes; nothing
  /// that it says is believed, for who has the key now is not known.
  case removed
  /// Never was a member, as far as this roster knows.
  case unknown
}

/// Who writes to the repository. Objects name the public key of their writer and are signed with it; whether that
/// counts for anything, and for what, is asked here.
package struct Roster: Sendable {
  private var standings: [[UInt8]: WriterStanding]

  /// From the public keys of writers.
  package init(_ standings: [[UInt8]: WriterStanding] = [:]) { self.standings = standings }

  package func standing(of writer: [UInt8]) -> WriterStanding { standings[writer] ?? .unknown }

  /// The same with a writer of this role.
  package func adding(_ writer: [UInt8], _ role: KeyRole) -> Roster {
    var all = standings
    all[writer] = role == .full ? .full : .writeOnly(Self.member(writer))
    return Roster(all)
  }

  private static func member(_ writer: [UInt8]) -> MemberID {
    MemberID(Array(SHA256.hash(Array("yester member 1".utf8) + writer).bytes.prefix(16)))
  }
}
