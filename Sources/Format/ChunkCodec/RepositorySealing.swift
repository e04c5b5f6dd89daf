package import Platform
package import RepositoryFormat

/// Content keys sealed to a key set's public key (docs/format.md, section 4.3).
package enum RepositorySealing {
  package enum Purpose: String, Sendable {
    case pack = "yester pack key 1"
    case snapshot = "yester snapshot key 1"
  }

  /// An ephemeral key pair, for one content key.
  package struct Sender {
    package let ephemeral = KeyPair.generate(.x25519)
    package init() {}

    /// 64 bytes: the sealed key, and a commitment to it.
    package func wrap(
      _ contentKey: [UInt8], for keySet: KeySet, _ purpose: Purpose, repository: RepositoryID,
      authenticating extra: [UInt8]
    ) throws(FormatError) -> [UInt8] {
      guard
        let key = wrappingKey(
          privateKey: ephemeral.privateKey, peer: keySet.record.publicKey, ephemeral: ephemeral.publicKey,
          recipient: keySet.record.publicKey, purpose, repository)
      else { throw FormatError("the repository's public key is unusable") }
      return AESGCM().seal(contentKey, key: key, authenticating: extra) + KeyCommitment.make(contentKey)
    }
  }

  static let wrappedSize = 48 + KeyCommitment.size

  /// Nil without the private key (a write-only key).
  package static func unwrap(
    _ wrapped: [UInt8], ephemeral: [UInt8], keySet: KeySet, _ purpose: Purpose, repository: RepositoryID,
    authenticating extra: [UInt8]
  ) throws(FormatError) -> [UInt8]? {
    guard let privateKey = keySet.record.privateKey else { return nil }
    guard
      let key = wrappingKey(
        privateKey: privateKey, peer: ephemeral, ephemeral: ephemeral, recipient: keySet.record.publicKey, purpose,
        repository),
      let plain = try? AESGCM().open(Array(wrapped.prefix(48)), key: key, authenticating: extra), plain.count == 32,
      KeyCommitment.matches(wrapped.dropFirst(48), plain)
    else { throw FormatError("its key cannot be opened: it is damaged or was put together by a stranger") }
    return plain
  }

  private static func wrappingKey(
    privateKey: [UInt8], peer: [UInt8], ephemeral: [UInt8], recipient: [UInt8], _ purpose: Purpose,
    _ repository: RepositoryID
  ) -> [UInt8]? {
    guard let shared = X25519.sharedSecret(privateKey: privateKey, publicKey: peer) else { return nil }
    return KeyDerivation.hkdf(
      shared, salt: ephemeral + recipient, info: Array(purpose.rawValue.utf8) + repository.bytes)
  }
}
