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
  package let index: ChunkIndex
  package let reader: ChunkReader
  private let folders: LocalFolders
  /// This repository's folder in the local cache.
  package let cacheDirectory: String
  /// What this machine has seen of this repository.
  package let memory: RepositoryMemoryFile
  /// What its user should know of it, whatever the command.
  package let notices: Notices
  /// The slot that opened it.
  package var slot: ObjectID { keyring.slot.id }
  /// Why its epoch is not to be trusted, for writing; a sentence without its full stop.
  let epochDoubt: String?
  /// By which other repositories that are met can be told from this one.
  package let stores: StoreRegistry

  private init(
    store: any ObjectStore, config: RepositoryConfig, keyring: Keyring, cacheSize: Int, folders: LocalFolders,
    stores: StoreRegistry, notices: Notices, memory: RepositoryMemoryFile, epochDoubt: String?
  ) {
    self.store = store
    self.stores = stores
    self.config = config
    self.keyring = keyring
    self.folders = folders
    cacheDirectory = folders.caches + "/" + config.id.description
    self.notices = notices
    self.memory = memory
    self.epochDoubt = epochDoubt
    index = ChunkIndex(
      store: store, keyring: keyring, cache: IndexCache(store: store, keyring: keyring, cacheDirectory: cacheDirectory))
    reader = ChunkReader(store: store, keyring: keyring, index: index, cacheSize: cacheSize)
  }

  /// Makes a new repository in an empty store, with one full key.
  package static func create(
    in store: any ObjectStore, secret: Secret, label: String, log2N: UInt8 = KeySlot.defaultCost.log2N,
    protection: Protection = .none
  ) throws(YesterError) -> RepositoryConfig {
    let store = protection == .parity ? ProtectedStore(store) : store
    // Looked for first: a slot of the new repository must not get among those of one that is there.
    guard try store.size(.config) == nil else {
      throw YesterError(.failed, "\(store.location) already holds a repository")
    }
    let rootKey = KeyPair.generate(.ed25519)
    let config = RepositoryConfig(rootPublicKey: rootKey.publicKey, protection: protection, digest: Self.digest)
    let slot: (bytes: [UInt8], key: SlotKey)
    let epoch: [UInt8]
    do throws(FormatError) {
      let now = Timestamp.now()
      slot = try KeySlot.make(
        with: secret, repository: config.id, root: rootKey.publicKey, created: now, log2N: log2N)
      var draft = EpochDraft(rootKey: rootKey, repository: config.id)
      draft.add(.full, label: label, slot: slot.key, created: now)
      epoch = try draft.seal(created: now)
    } catch {
      throw YesterError(.failed, "The keys of the repository cannot be made: \(error.message)")
    }
    // The keys first: a repository with a config is complete.
    try store.put(.slot(slot.key.id), slot.bytes)
    guard try store.put(.epoch(1), epoch) else {
      throw YesterError(
        .failed, "\(store.location) holds parts of another repository, whose config is missing",
        advice: "Choose an empty place.")
    }
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
      // Only to say the right thing: whatever cannot be listed here is no repository either.
      if let keys = try? store.ids(.keys), !keys.isEmpty {
        throw YesterError(
          .noRepository, "The object \"config\" is missing in \(store.location), where keys of a repository are",
          advice: "Copy \"config\" back from a copy of the repository. Do not run \"yester init\" there.")
      }
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

  package static func digest(_ bytes: [UInt8]) -> [UInt8] { SHA256.hash(bytes).bytes }

  /// Opens a repository with the slot that fits the secret. `cacheSize` bounds opened blocks in memory. `warn` is
  /// called with a sentence for the user about what was found, or not found any more, each once. With `epoch`, an older
  /// one than the newest, nothing can be written: keys that were removed since would count.
  package static func open(
    _ store: any ObjectStore, secret: Secret, cacheSize: Int = 64 << 20, folders: LocalFolders = .standard,
    stores: StoreRegistry = StoreRegistry(), epoch: UInt64? = nil,
    warn: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(YesterError) -> Repository {
    let log = DamageLog(tell: warn)
    let config = try config(of: store, log)
    let store = config.protection == .parity ? ProtectedStore(store, log) : store
    let signed: SignedEpoch
    if let epoch { signed = try Epochs.read(epoch, store, config) } else { signed = try Epochs.newest(store, config) }
    let keyring = try Epochs.unlock(signed, store, config, secret)
    let notices = Notices(warn)
    let memory = RepositoryMemoryFile(folders.memories, config.id) { notices.tell($0) }
    var doubt: String?
    if epoch == nil {
      doubt = try compareWithMemory(signed, memory, store, config)
      if let doubt { notices.tell(doubt + ".") }
    }
    return Repository(
      store: epoch == nil ? store : ReadOnlyStore(store), config: config, keyring: keyring, cacheSize: cacheSize,
      folders: folders, stores: stores, notices: notices, memory: memory, epochDoubt: doubt)
  }

  /// The same repository as another epoch of it says.
  package func following(_ keyring: Keyring) -> Repository {
    Repository(
      store: store, config: config, keyring: keyring, cacheSize: reader.cacheSize, folders: folders, stores: stores,
      notices: notices, memory: memory, epochDoubt: epochDoubt)
  }

  /// Absolute paths of what a backup leaves out and a restore never touches: the repository, where it is a directory of
  /// this machine, yester's cache, and its memory, which must not go back to what it was.
  package var protectedPaths: [String] {
    [store.localPath, folders.caches, folders.memories].compactMap { $0 }
  }

  /// Fails unless what this keyring writes counts: its key may have been removed since, or all keys may have been renewed,
  /// and what is written with the old ones would be open to whomever that was to shut out.
  package func requireCurrentKeys() throws(YesterError) {
    try requireTrustedEpoch()
    let number = try Epochs.newestNumber(store)
    let known = keyring.epoch.number
    if number == known { return }
    guard number > known else {
      throw YesterError(
        .damaged, "The repository \(store.location) has lost its epoch \(known), which says who may open it",
        advice: "It may be an old copy, or somebody took it away. Nothing was written.")
    }
    guard let later = try Epochs.opened(Epochs.read(number, store, config), by: keyring.slot, store) else {
      throw Epochs.removed(store)
    }
    guard later.writer.publicKey == keyring.writer.publicKey else {
      throw YesterError(
        .failed, "The repository's keys were rotated meanwhile, and this run began with the old ones",
        advice: "Run the command again.")
    }
  }

  /// What a later epoch says, for what runs long: members may have come since.
  enum Later {
    /// There is none: what names one is a stranger's.
    case none
    /// This key is not in force any more, or keys were rotated, for which the repository has to be opened again.
    case closed
    case open(Keyring)
  }

  func later(than keyring: Keyring) throws(YesterError) -> Later {
    guard try Epochs.newestNumber(store) > keyring.epoch.number else { return .none }
    guard let later = try Epochs.opened(Epochs.newest(store, config), by: keyring.slot, store),
      later.current.id == keyring.current.id
    else { return .closed }
    return .open(later)
  }

  /// Fails where a snapshot of the host would count for nothing.
  package func requireHost(_ host: String) throws(YesterError) {
    guard let member = keyring.roster.member(keyring.member), !member.maySpeak(for: host) else { return }
    throw YesterError(
      .wrongKey, "This key may make snapshots of \(member.hosts.joined(separator: ", ")) only, not of \(host)",
      advice: "Use --host, or a key that may (\"yester key add --write-only --host \(host)\").")
  }

  /// Fails unless the keyring can read what is stored.
  package func requireFullKey(_ purpose: String) throws(YesterError) {
    guard keyring.role == .full else {
      throw YesterError(
        .wrongKey, "A write-only key cannot \(purpose)", advice: "Run the command with a full key.")
    }
  }
}
