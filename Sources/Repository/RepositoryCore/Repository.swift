package import ChunkCodec
package import ObjectStores
internal import Platform
package import Reporting
package import RepositoryFormat

/// An opened repository: its store, its keys, its index. What everything above works with.
package final class Repository: Sendable {
  package let store: any ObjectStore
  package let config: RepositoryConfig
  package let keyring: Keyring
  package let slot: ObjectID
  package let index: ChunkIndex
  package let reader: ChunkReader
  private let folders: LocalFolders
  /// This repository's folder in the local cache.
  package let cacheDirectory: String
  /// What this machine has seen of this repository.
  package let memory: RepositoryMemoryFile
  /// What its user should know of it, whatever the command.
  package let notices: Notices
  /// By which other repositories that are met can be told from this one.
  package let stores: StoreRegistry

  private init(
    store: any ObjectStore, config: RepositoryConfig, keyring: Keyring, slot: ObjectID, cacheSize: Int,
    folders: LocalFolders, stores: StoreRegistry, warn: @escaping @Sendable (String) -> Void
  ) {
    self.store = store
    self.stores = stores
    self.config = config
    self.keyring = keyring
    self.slot = slot
    self.folders = folders
    cacheDirectory = folders.caches + "/" + config.id.description
    let notices = Notices(warn)
    self.notices = notices
    memory = RepositoryMemoryFile(folders.memories, config.id) { notices.tell($0) }
    index = ChunkIndex(
      store: store, keyring: keyring, cache: IndexCache(store: store, keyring: keyring, cacheDirectory: cacheDirectory))
    reader = ChunkReader(store: store, keyring: keyring, index: index, cacheSize: cacheSize)
  }

  /// Makes a new repository in an empty store, with one full key slot.
  package static func create(
    in store: any ObjectStore, secret: Secret, label: String, log2N: UInt8 = KeySlot.defaultCost.log2N,
    protection: Protection = .none
  ) throws(YesterError) -> RepositoryConfig {
    let store = protection == .parity ? ProtectedStore(store) : store
    // Looked for first: a slot of the new repository must not get among those of one that is there.
    guard try store.size(.config) == nil else {
      throw YesterError(.failed, "\(store.location) already holds a repository")
    }
    let config = RepositoryConfig(id: RepositoryID(System.random(16)), protection: protection)
    let slot: [UInt8]
    do throws(FormatError) {
      let keyring = try Keyring.generate(repository: config.id)
      slot = try KeySlot.seal(keyring, with: secret, label: label, created: .now(), log2N: log2N)
    } catch {
      throw YesterError(.failed, "The keys of the repository cannot be made: \(error.message)")
    }
    // The key first: a repository with a config is complete.
    try store.put(.slot(ObjectID(nameOf: SHA256.hash(slot))), slot)
    guard try store.put(.config, config.encode(digest: Self.digest)) else {
      throw YesterError(.failed, "\(store.location) already holds a repository")
    }
    return config
  }

  /// The config, or error 10 when there is none.
  package static func config(of store: any ObjectStore) throws(YesterError) -> RepositoryConfig {
    try config(of: store, DamageLog())
  }

  /// Objects of a repository through what makes their damage good, where the repository has that.
  package static func protected(
    _ store: any ObjectStore, _ log: DamageLog = DamageLog()
  ) throws(YesterError) -> any ObjectStore {
    try config(of: store, log).protection == .parity ? ProtectedStore(store, log) : store
  }

  /// Whether there is a second copy is only known when it has been read.
  private static func config(of store: any ObjectStore, _ log: DamageLog) throws(YesterError) -> RepositoryConfig {
    guard let bytes = try ProtectedStore(store, log).get(.config, limit: Limits.configSizeMax) else {
      throw YesterError(
        .noRepository, "There is no yester repository in \(store.location)",
        advice: "Check the path, or make one with \"yester init\".")
    }
    do throws(FormatError) {
      return try RepositoryConfig(decoding: bytes, digest: Self.digest)
    } catch {
      throw YesterError(
        error.kind == .needsNewerVersion ? .failed : .damaged,
        "The repository \(store.location) cannot be opened: \(error.message)",
        advice: error.kind == .needsNewerVersion
          ? "Install a newer yester." : "Copy the object \"config\" back from a second copy of the repository.")
    }
  }

  private static func digest(_ bytes: [UInt8]) -> [UInt8] { SHA256.hash(bytes).bytes }

  /// Opens a repository with the first slot that fits the secret. `cacheSize` bounds opened blocks in memory. `warn` is
  /// called with a sentence for the user about what was found, or not found any more, each once.
  package static func open(
    _ store: any ObjectStore, secret: Secret, cacheSize: Int = 64 << 20, folders: LocalFolders = .standard,
    stores: StoreRegistry = StoreRegistry(), warn: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(YesterError) -> Repository {
    let log = DamageLog(tell: warn)
    let config = try config(of: store, log)
    let store = config.protection == .parity ? ProtectedStore(store, log) : store
    let (keyring, slot) = try unlock(store, config, secret)
    return Repository(
      store: store, config: config, keyring: keyring, slot: slot, cacheSize: cacheSize,
      folders: folders, stores: stores, warn: warn)
  }

  /// Absolute paths of what a backup leaves out and a restore never touches: the repository, where it is a directory of
  /// this machine, yester's cache, and its memory, which must not go back to what it was.
  package var protectedPaths: [String] {
    [store.localPath, folders.caches, folders.memories].compactMap { $0 }
  }

  private static func unlock(
    _ store: any ObjectStore, _ config: RepositoryConfig, _ secret: Secret
  ) throws(YesterError) -> (Keyring, ObjectID) {
    let ids = try store.ids(.keys)
    guard !ids.isEmpty else {
      throw YesterError(
        .damaged, "The repository \(store.location) has no key slots",
        advice: "Copy the folder \"keys\" back from a second copy of the repository, or import an exported key.")
    }
    var damage: (ObjectID, FormatError)?
    var opened: (keyring: Keyring, id: ObjectID)?
    var roster = Roster()
    for id in ids {
      guard let bytes = try store.get(.slot(id), limit: Limits.slotSizeMax) else { continue }
      guard ObjectID(nameOf: SHA256.hash(bytes)) == id else {
        damage = (id, FormatError("its bytes do not fit its name"))
        continue
      }
      do throws(FormatError) {
        let (header, _) = try SlotHeader.decode(bytes, repository: config.id)
        roster = roster.adding(header.writerPublicKey, header.role)
        if opened == nil, case .opened(let keyring, _) = try KeySlot.open(bytes, repository: config.id, with: secret) {
          opened = (keyring, id)
        }
      } catch {
        damage = (id, error)
      }
    }
    if let (found, id) = opened {
      // A slot proves nobody's role but that of the one who opened it.
      var keyring = found
      keyring.roster = roster.adding(keyring.writer.publicKey, keyring.role)
      return (keyring, id)
    }
    if let (id, error) = damage {
      throw YesterError(
        .damaged, "No key slot opens with this secret, and the slot \(id.short) is unusable: \(error.message)",
        advice: "Try another key, or copy the folder \"keys\" back from a second copy of the repository.")
    }
    let what = if case .password = secret { "password" } else { "key file" }
    throw YesterError(
      .wrongKey, "The \(what) opens no key slot of \(store.location)",
      advice: "Check that it is the right one for this repository.")
  }

  /// Fails when another slot has keys that this one lacks: what is written with the old ones would be open to
  /// whomever the rotation was to shut out.
  package func requireCurrentKeys() throws(YesterError) {
    var vanished: [ObjectID] = []
    for id in try store.ids(.keys) {
      guard let bytes = try store.get(.slot(id), limit: Limits.slotSizeMax) else {
        vanished.append(id)
        continue
      }
      guard let (header, _) = try? SlotHeader.decode(bytes, repository: config.id) else { continue }
      guard keyring.keySet(header.keySet) != nil else {
        throw YesterError(
          .wrongKey, "The repository's keys were rotated, and this key has not got the new ones",
          advice: "Add this key again with a current full key: \"yester key add\".")
      }
    }
    try store.requireGone(vanished, from: .keys)
  }

  /// Fails unless the keyring can read what is stored.
  package func requireFullKey(_ purpose: String) throws(YesterError) {
    guard keyring.role == .full else {
      throw YesterError(
        .wrongKey, "A write-only key cannot \(purpose)", advice: "Run the command with a full key.")
    }
  }
}
