internal import Platform

/// The first 16 bytes of the hash of a key set's public key.
package struct KeySetID: Hashable, Sendable, CustomStringConvertible {
  package static let size = 16
  package let bytes: [UInt8]
  package init(_ bytes: [UInt8]) {
    precondition(bytes.count == Self.size, "a key set id has 16 bytes")
    self.bytes = bytes
  }
  package var description: String { Hex.encode(bytes) }
}

/// What a key may do.
package enum KeyRole: UInt8, Sendable, CustomStringConvertible {
  case full = 1
  case writeOnly = 2
  package var description: String { self == .full ? "full" : "write-only" }
}

/// The secrets of a key set (docs/format.md, section 4.1). All arrays have 32 bytes.
package struct KeySetRecord: Sendable, Equatable {
  package var publicKey: [UInt8]
  package var idKey: [UInt8]
  package var indexKey: [UInt8]
  package var chunkerSeed: [UInt8]
  package var privateKey: [UInt8]?
  package init(
    publicKey: [UInt8], idKey: [UInt8], indexKey: [UInt8], chunkerSeed: [UInt8], privateKey: [UInt8]?
  ) {
    self.publicKey = publicKey
    self.idKey = idKey
    self.indexKey = indexKey
    self.chunkerSeed = chunkerSeed
    self.privateKey = privateKey
  }
}
