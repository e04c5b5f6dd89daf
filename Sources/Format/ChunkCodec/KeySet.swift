internal import Platform
package import RepositoryFormat

/// One set of secrets that seals data (docs/format.md, section 4.1).
package struct KeySet: Sendable {
  package let id: KeySetID
  package let record: KeySetRecord

  package init(_ record: KeySetRecord) {
    self.record = record
    id = Self.id(ofPublicKey: record.publicKey)
  }

  static func id(ofPublicKey key: [UInt8]) -> KeySetID {
    KeySetID(Array(SHA256.hash(Array("yester key set 1".utf8) + key).bytes.prefix(KeySetID.size)))
  }

  package static func generate() -> KeySet {
    let pair = KeyPair.generate(.x25519)
    return KeySet(
      KeySetRecord(
        publicKey: pair.publicKey, idKey: System.random(32), indexKey: System.random(32),
        chunkerSeed: System.random(32), privateKey: pair.privateKey))
  }
}
