internal import RepositoryFormat

/// Binds sealed bytes to one key: AES-GCM alone does not, for whoever chooses two keys can make one ciphertext that opens
/// under both (docs/format.md, section 4.4).
package enum KeyCommitment {
  package static let size = 16

  package static func make(_ key: [UInt8]) -> [UInt8] {
    Array(KeyDerivation.hkdf(key, salt: [], "yester commitment 1").prefix(size))
  }

  /// Whether the key is the one that was committed to.
  package static func matches(_ commitment: some Collection<UInt8>, _ key: [UInt8]) -> Bool {
    make(key).elementsEqual(commitment)
  }
}
