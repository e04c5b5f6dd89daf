package import Platform

/// Which member a writer belongs to: it stays the same when the member's password, key file or writer key changes.
package struct MemberID: Hashable, Sendable, CustomStringConvertible {
  package static let size = 16
  package let bytes: [UInt8]
  package init(_ bytes: [UInt8]) {
    precondition(bytes.count == Self.size, "a member's id has 16 bytes")
    self.bytes = bytes
  }
  package var description: String { Hex.encode(bytes) }
}

/// Where a writer's chain of records and notes stood.
package struct ChainEnd: Sendable, Equatable {
  /// 0 where there was nothing.
  package let sequence: UInt64
  package let id: ObjectID
  package init(sequence: UInt64, id: ObjectID) {
    self.sequence = sequence
    self.id = id
  }
  package static let nothing = ChainEnd(sequence: 0, id: .zero)
}

/// A public key that a member signs with, or has signed with (docs/format.md, section 4.3).
package struct WriterKey: Sendable, Equatable {
  /// How it ended to count: rotation, removal and revocation take a writer's key away.
  package struct End: Sendable, Equatable {
    /// The first epoch in which it does not count any more.
    package let epoch: UInt64
    /// The last record or note that counts.
    package let last: ChainEnd
    package init(epoch: UInt64, last: ChainEnd) {
      self.epoch = epoch
      self.last = last
    }
  }
  /// Ed25519, 32 bytes.
  package let publicKey: [UInt8]
  /// The epoch that it began with.
  package let since: UInt64
  /// Nil while it is in force.
  package var end: End?

  package init(publicKey: [UInt8], since: UInt64, end: End? = nil) {
    self.publicKey = publicKey
    self.since = since
    self.end = end
  }
}

/// One who may write to the repository, or once might.
package struct RosterMember: Sendable, Equatable {
  package enum State: Sendable, Equatable {
    /// By the slot of this id.
    case inForce(slot: ObjectID)
    /// Left in good order with this epoch: what it wrote before counts as ever.
    case removed(epoch: UInt64)
    /// Its key was stolen, as far as its owner knows: nothing that it has stored is trusted without a proof.
    case revoked(epoch: UInt64)
  }
  package let id: MemberID
  package let role: KeyRole
  package var state: State
  package let createdSeconds: Int64
  /// UTF-8, for people.
  package var label: [UInt8]
  /// Hosts whose snapshots it may make; none for any.
  package var hosts: [String]
  /// The newest first; never empty.
  package var writers: [WriterKey]

  package init(
    id: MemberID, role: KeyRole, state: State, createdSeconds: Int64, label: [UInt8], hosts: [String],
    writers: [WriterKey]
  ) {
    self.id = id
    self.role = role
    self.state = state
    self.createdSeconds = createdSeconds
    self.label = label
    self.hosts = hosts
    self.writers = writers
  }

  package var isInForce: Bool { slot != nil }
  package var slot: ObjectID? { if case .inForce(let slot) = state { slot } else { nil } }

  package func encode(to out: inout ByteWriter) {
    out.raw(id.bytes)
    out.u8(role.rawValue)
    switch state {
    case .inForce(let slot):
      out.u8(1)
      out.id(slot)
    case .removed(let epoch):
      out.u8(2)
      out.varint(epoch)
    case .revoked(let epoch):
      out.u8(3)
      out.varint(epoch)
    }
    out.i64(createdSeconds)
    out.string(label)
    out.varint(hosts.count)
    for host in hosts { out.string(host) }
    out.varint(writers.count)
    for writer in writers {
      out.raw(writer.publicKey)
      out.varint(writer.since)
      out.varint(writer.end?.epoch ?? 0)
      if let end = writer.end {
        out.varint(end.last.sequence)
        out.id(end.last.id)
      }
    }
  }

  /// `number` is that of the epoch: nothing in its roster is later.
  init(_ reader: inout ByteReader, epoch number: UInt64) throws(FormatError) {
    let id = MemberID(try reader.array(MemberID.size))
    guard let role = KeyRole(rawValue: try reader.u8()) else { throw FormatError("a member has an unknown role") }
    let state: State
    switch try reader.u8() {
    case 1: state = .inForce(slot: try reader.id())
    case 2: state = .removed(epoch: try Self.epoch(&reader, number))
    case 3: state = .revoked(epoch: try Self.epoch(&reader, number))
    default: throw FormatError("a member is in an unknown state")
    }
    let created = try reader.i64()
    let label = Array(try reader.string(limit: Limits.labelSizeMax))
    var hosts: [String] = []
    for _ in 0..<(try reader.count(limit: Limits.memberHostsMax)) {
      hosts.append(try reader.text(limit: Limits.hostSizeMax))
    }
    var writers: [WriterKey] = []
    for _ in 0..<(try reader.count(limit: Limits.keySetsMax)) { writers.append(try Self.writer(&reader, number)) }
    self.init(
      id: id, role: role, state: state, createdSeconds: created, label: label, hosts: hosts, writers: writers)
    // A member in force has one key that counts, its newest, and another has none.
    guard !writers.isEmpty, writers.dropFirst().allSatisfy({ $0.end != nil }), (writers[0].end == nil) == isInForce
    else { throw FormatError("a member's writer keys do not fit its state") }
  }

  private static func writer(_ reader: inout ByteReader, _ number: UInt64) throws(FormatError) -> WriterKey {
    let publicKey = try reader.array(32)
    let since = try epoch(&reader, number)
    let end = try reader.varint()
    guard end != 0 else { return WriterKey(publicKey: publicKey, since: since) }
    guard end > since, end <= number else { throw FormatError("a writer's key has an impossible time") }
    let sequence = try reader.varint()
    guard sequence <= Limits.sequenceMax else { throw FormatError("its sequence number is impossible") }
    let last = ChainEnd(sequence: sequence, id: try reader.id())
    return WriterKey(publicKey: publicKey, since: since, end: WriterKey.End(epoch: end, last: last))
  }

  private static func epoch(_ reader: inout ByteReader, _ number: UInt64) throws(FormatError) -> UInt64 {
    let epoch = try reader.varint()
    guard epoch >= 1, epoch <= number else { throw FormatError("a member names an epoch that is not there yet") }
    return epoch
  }
}
