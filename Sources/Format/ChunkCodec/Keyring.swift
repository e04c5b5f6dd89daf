package import RepositoryFormat

/// All that an opened slot gives in one epoch: a writer's identity, the secrets its role allows, and who else writes.
package struct Keyring: Sendable {
  package let repository: RepositoryID
  /// The epoch it is from.
  package let epoch: EpochName
  package let rootPublicKey: [UInt8]
  package let slot: SlotKey
  package let member: MemberID
  package let role: KeyRole
  package let writer: KeyPair
  /// The current one first.
  package let keySets: [KeySet]
  package let roster: Roster
  /// For each key that this member has written with, the newest first: what opens its own records.
  let ownKeys: [(writer: [UInt8], listKey: [UInt8])]
  /// What makes the next epoch; nil for a write-only key.
  let authority: Authority?

  struct Authority: Sendable {
    let root: KeyPair
    let secrets: [MemberID: FullPart.Member]
    let slotKeys: [ObjectID: [UInt8]]
  }

  package var current: KeySet { keySets[0] }
  /// With which this member's current records are opened by itself, and what it keeps for itself is sealed.
  package var listKey: [UInt8] { ownKeys[0].listKey }
  package func keySet(_ id: KeySetID) -> KeySet? { keySets.first { $0.id == id } }

  /// With what this member opens its own record, written with one of its keys; nil for those of others.
  func listKey(of writer: [UInt8]) -> [UInt8]? { ownKeys.first { $0.writer == writer }?.listKey }
}

/// Which epoch: of two with one number, the hash of its bytes says which.
package struct EpochName: Sendable, Equatable {
  package let number: UInt64
  package let digest: Digest
  package init(number: UInt64, digest: Digest) {
    self.number = number
    self.digest = digest
  }
}
