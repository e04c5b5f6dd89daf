package import ChunkCodec
internal import Platform
package import RepositoryFormat

/// Keys without a repository: epochs in memory, and the slots that open them.
package struct TestKeys: Sendable {
  package private(set) var draft: EpochDraft
  private var slots: [SlotKey] = []

  /// A repository with a root key of its own.
  package init() {
    let root = KeyPair.generate(.ed25519)
    let config = RepositoryConfig(rootPublicKey: root.publicKey) { SHA256.hash($0).bytes }
    self.init(root: root, repository: config.id)
  }

  /// `repository` need not be that of the root key: so a stranger makes keys who has seen its id.
  package init(root: KeyPair = .generate(.ed25519), repository: RepositoryID) {
    draft = EpochDraft(rootKey: root, repository: repository)
  }

  package mutating func add(_ role: KeyRole, hosts: [String] = []) {
    let pair = KeyPair.generate(.x25519)
    let slot = SlotKey(id: ObjectID(nameOf: SHA256.hash(pair.publicKey)), pair: pair)
    slots.append(slot)
    draft.add(role, label: "key \(slots.count)", hosts: hosts, slot: slot, created: Timestamp(seconds: 0))
  }

  /// The epoch as it is now, and what each slot that it names opens in it.
  package func epoch() throws -> (bytes: [UInt8], keyrings: [Keyring]) {
    let bytes = try draft.seal(created: Timestamp(seconds: 0))
    let epoch = try SignedEpoch(bytes, number: draft.number, repository: draft.repository, root: draft.root)
    return (bytes, try slots.compactMap { try epoch.open(by: $0) })
  }

  /// Goes on with the next epoch.
  package mutating func next(_ edit: (inout EpochDraft) throws -> Void) throws {
    let full = try epoch().keyrings.first { $0.role == .full }
    guard let full, let next = EpochDraft(after: full) else { return }
    draft = next
    try edit(&draft)
  }

  /// Of a new repository with one full key.
  package static func full() throws -> Keyring {
    var keys = TestKeys()
    keys.add(.full)
    return try keys.epoch().keyrings[0]
  }
}
