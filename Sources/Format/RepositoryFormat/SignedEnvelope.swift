package import Platform

/// The clear beginning of whatever a writer signs: snapshot records, notes, lists of condemned packs (docs/format.md,
/// section 8.1).
package struct SignedEnvelope: Sendable, Equatable {
  package static let size = 144
  package static let signatureSize = 64
  package let magic: CommonHeader.Magic
  package let keySet: KeySetID
  package let role: KeyRole
  package let writer: [UInt8]
  package let certificate: [UInt8]

  package init(
    magic: CommonHeader.Magic, keySet: KeySetID, role: KeyRole, writer: [UInt8], certificate: [UInt8]
  ) {
    self.magic = magic
    self.keySet = keySet
    self.role = role
    self.writer = writer
    self.certificate = certificate
  }

  /// Whether what its writer says of others' snapshots counts: that they are removed, verified, pinned, were there.
  package var isFullWriter: Bool { role == .full }

  package func encode(repository: RepositoryID) -> [UInt8] {
    var out = ByteWriter(capacity: Self.size)
    CommonHeader.write(magic, repository, to: &out)
    out.raw(keySet.bytes)
    out.u8(role.rawValue)
    out.zeros(7)
    out.raw(writer)
    out.raw(certificate)
    return out.bytes
  }

  package init(decoding bytes: [UInt8], repository: RepositoryID) throws(FormatError) {
    guard bytes.count <= Limits.recordSizeMax else { throw FormatError("the record is too large") }
    self = try bytes.read { (reader) throws(FormatError) in
      let magic = try CommonHeader.read(.snapshot, .note, .condemned, of: repository, from: &reader)
      let keySet = KeySetID(try reader.array(8))
      guard let role = KeyRole(rawValue: try reader.u8()) else { throw FormatError("its writer has an unknown role") }
      try reader.zeros(7)
      let writer = try reader.array(32)
      return SignedEnvelope(
        magic: magic, keySet: keySet, role: role, writer: writer, certificate: try reader.array(64))
    }
  }
}
