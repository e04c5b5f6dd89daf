package import Platform

/// The clear beginning of whatever a writer signs: snapshot records, notes, leases, lists of condemned packs
/// (docs/format.md, section 8.1).
package struct SignedEnvelope: Sendable, Equatable {
  package static let size = 88
  package static let signatureSize = 64
  package let magic: CommonHeader.Magic
  package let keySet: KeySetID
  /// The epoch that its writer knew.
  package let epoch: UInt64
  /// Ed25519, 32 bytes. What it is worth, the roster says.
  package let writer: [UInt8]

  package init(magic: CommonHeader.Magic, keySet: KeySetID, epoch: UInt64, writer: [UInt8]) {
    self.magic = magic
    self.keySet = keySet
    self.epoch = epoch
    self.writer = writer
  }

  package func encode(repository: RepositoryID) -> [UInt8] {
    var out = ByteWriter(capacity: Self.size)
    CommonHeader.write(magic, repository, to: &out)
    out.raw(keySet.bytes)
    out.u64(epoch)
    out.raw(writer)
    return out.bytes
  }

  package init(decoding bytes: [UInt8], repository: RepositoryID) throws(FormatError) {
    guard bytes.count <= Limits.recordSizeMax else { throw FormatError("the record is too large") }
    self = try bytes.read { (reader) throws(FormatError) in
      let magic = try CommonHeader.read(.snapshot, .note, .lease, .condemned, of: repository, from: &reader)
      let keySet = KeySetID(try reader.array(KeySetID.size))
      let epoch = try reader.u64()
      guard (1...Limits.epochNumberMax).contains(epoch) else { throw FormatError("its epoch is impossible") }
      return SignedEnvelope(magic: magic, keySet: keySet, epoch: epoch, writer: try reader.array(32))
    }
  }
}
