package import Platform
package import RepositoryFormat

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

/// Who writes to the repository, and who did: from the signed epoch. Objects name the public key of their writer and are
/// signed with it; whether that counts for anything, and for what, is asked here.
package struct Roster: Sendable {
  package let members: [RosterMember]
  private let places: [[UInt8]: (member: Int, key: Int)]

  package init(_ members: [RosterMember]) {
    self.members = members
    var places: [[UInt8]: (member: Int, key: Int)] = [:]
    for (member, found) in members.enumerated() {
      for (key, writer) in found.writers.enumerated() { places[writer.publicKey] = (member, key) }
    }
    self.places = places
  }

  /// What objects without a place in a chain are worth: packs, segments of the index.
  package func standing(of writer: [UInt8]) -> WriterStanding {
    guard let (index, key) = places[writer] else { return .unknown }
    let member = members[index]
    guard member.writers[key].end == nil else { return .removed }
    return member.role == .full ? .full : .writeOnly(member.id)
  }

  /// Whether it is the key, or once was a key, of a full member that is in force. What such a key has said when keys were
  /// rotated must not be forgotten by that, where believing it can take nothing away.
  package func isOrWasFull(_ writer: [UInt8]) -> Bool {
    guard let member = member(of: writer), case .inForce = member.state else { return false }
    return member.role == .full
  }

  package func member(of writer: [UInt8]) -> RosterMember? { places[writer].map { members[$0.member] } }
  package func member(_ id: MemberID) -> RosterMember? { members.first { $0.id == id } }

  /// Whose word a record or note is. Throws where it does not count. `host` is that of a snapshot.
  package func authorship(
    _ envelope: SignedEnvelope, sequence: UInt64, host: String? = nil
  ) throws(FormatError) -> Authorship {
    let author = try author(envelope, sequence: sequence)
    if let host, !author.maySpeak(for: host) {
      throw FormatError("it is of the host \(host), for which its writer may not speak", .doesNotCount)
    }
    return Authorship(envelope, role: author.role, member: author.id)
  }

  /// The member that a record or note counts as the word of. A key that was taken out of force counts for what its member
  /// had stored by then, and for nothing that says to be older and came later.
  private func author(
    _ envelope: SignedEnvelope, sequence: UInt64
  ) throws(FormatError) -> RosterMember {
    guard let (index, number) = places[envelope.writer] else {
      throw FormatError("its writer is not one of this repository's")
    }
    let member = members[index]
    let key = member.writers[number]
    guard envelope.epoch >= key.since else {
      throw FormatError("it names an epoch in which its writer was none", .doesNotCount)
    }
    guard let end = key.end else { return member }
    guard envelope.epoch < end.epoch, sequence <= end.last.sequence else {
      throw FormatError("\(Self.words(member, end)), and it is beyond what was kept of it", .doesNotCount)
    }
    return member
  }

  private static func words(_ member: RosterMember, _ end: WriterKey.End) -> String {
    let name = member.label.isEmpty ? "its writer" : "the key \"\(String(decoding: member.label, as: UTF8.self))\""
    return switch member.state {
    case .inForce: "the keys of \(name) were renewed with epoch \(end.epoch)"
    case .removed: "\(name) was removed with epoch \(end.epoch)"
    case .revoked: "\(name) was revoked with epoch \(end.epoch)"
    }
  }
}

extension RosterMember {
  /// Whether it may make snapshots of a host.
  package func maySpeak(for host: String) -> Bool { hosts.isEmpty || hosts.contains(host) }
}
