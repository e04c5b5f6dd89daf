package import ChunkCodec
package import ObjectStores
internal import Platform
internal import Reporting
package import RepositoryCore
package import RepositoryFormat

/// A new repository with one full key, which opens by `secret`.
package final class TestRepository: Sendable {
  package let store: any ObjectStore
  package let secret = Secret.keyFile(System.random(32))
  package let id: RepositoryID

  package init(in store: any ObjectStore = MemoryStore()) throws {
    self.store = store
    id = try Repository.create(in: store, secret: secret, label: "first").id
  }

  deinit { forget(id) }

  /// `other` is a store to go through, over the same objects; `secret` that of another slot.
  package func open(
    _ other: (any ObjectStore)? = nil, by secret: Secret? = nil, cacheSize: Int = 64 << 20
  ) throws -> Repository {
    try Repository.open(other ?? store, secret: secret ?? self.secret, cacheSize: cacheSize, folders: testFolders)
  }

  /// Adds a slot with a writer of its own; what opens it.
  package func addSlot(_ role: KeyRole) throws -> Secret {
    let secret = Secret.keyFile(System.random(32))
    let repository = try open()
    let slot = try KeySlot.make(
      with: secret, repository: id, root: repository.config.rootPublicKey, created: .now())
    try store.put(.slot(slot.key.id), slot.bytes)
    try repository.beginEpoch { $0.add(role, label: "more", slot: slot.key, created: .now()) }
    return secret
  }

  /// Begins an epoch with new keys for everybody.
  package func rotate() throws { try open().beginEpoch { try $0.rotate([:]) } }

  /// Adds a slot with a writer of its own, and opens the repository by it.
  package func addWriter(_ role: KeyRole) throws -> Repository { try open(by: addSlot(role)) }
}

extension Repository {
  /// Stores the next epoch, as whoever holds the root key can make it.
  package func beginEpoch(_ edit: (inout EpochDraft) throws -> Void) throws {
    guard var draft = EpochDraft(after: keyring) else { throw YesterError(.failed, "this key makes no epochs") }
    try edit(&draft)
    try store.put(.epoch(draft.number), draft.seal(created: .now()))
  }
}
