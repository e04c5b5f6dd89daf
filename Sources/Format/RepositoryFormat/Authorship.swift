/// Whose word a record or note is: its envelope, and what the roster says of its writer.
package struct Authorship: Sendable, Equatable {
  package let envelope: SignedEnvelope
  package let role: KeyRole
  package let member: MemberID

  package init(_ envelope: SignedEnvelope, role: KeyRole, member: MemberID) {
    self.envelope = envelope
    self.role = role
    self.member = member
  }

  /// Whether what its writer says of others' snapshots counts: that they are removed, verified, pinned, were there.
  package var isFullWriter: Bool { role == .full }
  package var magic: CommonHeader.Magic { envelope.magic }
  package var keySet: KeySetID { envelope.keySet }
  package var epoch: UInt64 { envelope.epoch }
  package var writer: [UInt8] { envelope.writer }
}
