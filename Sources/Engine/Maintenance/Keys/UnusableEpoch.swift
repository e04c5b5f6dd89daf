package import ChunkCodec
package import ObjectStores
internal import Platform
package import Reporting
package import RepositoryCore
internal import RepositoryFormat

/// A newest epoch that the root key has not signed: it was damaged, or a stranger has put it there. It closes the
/// repository until the right one is back, or somebody with a full key takes it away, who is told first what that costs.
package struct UnusableEpoch: Sendable {
  package let number: UInt64
  /// What is wrong with it, a clause.
  package let reason: String
  /// The newest one that is sound.
  package let sound: UInt64
  /// Records that cannot be read, or whose writer is unknown, as the sound epoch says. They may have been written under
  /// the unusable one.
  package let unreadable: Int
  private let repository: Repository
  private let store: any ObjectStore

  /// Opens the repository under the newest sound epoch. Throws when the epoch of this number is sound, or not the newest.
  package init(
    _ number: UInt64, _ store: any ObjectStore, _ secret: Secret, folders: LocalFolders = .standard
  ) throws(YesterError) {
    let config = try Repository.config(of: store)
    let numbers = try Epochs.numbers(store)
    guard numbers.last == number else {
      throw YesterError(
        .failed, "The epoch \(number) is not the newest; that is \(numbers.last ?? 0)",
        advice: "Only an unusable newest one can be dropped.")
    }
    reason = try Self.fault(number, store, config)
    var sound: UInt64?
    for other in numbers.dropLast().reversed() {
      if (try? Epochs.read(other, store, config)) != nil {
        sound = other
        break
      }
    }
    guard let sound else {
      throw YesterError(
        .damaged, "The repository \(store.location) has no sound epoch",
        advice: "Copy the folder \"epochs\" back from a second copy of the repository.")
    }
    let repository = try Repository.open(store, secret: secret, folders: folders, epoch: sound)
    try repository.requireFullKey("drop an epoch")
    let catalog = try SnapshotCatalog(repository)
    self.number = number
    self.sound = sound
    self.store = store
    self.repository = repository
    unreadable = catalog.damaged.count + catalog.foreignCount
  }

  private static func fault(
    _ number: UInt64, _ store: any ObjectStore, _ config: RepositoryConfig
  ) throws(YesterError) -> String {
    guard let bytes = try store.get(.epoch(number), limit: Limits.epochSizeMax) else { return "it is not given" }
    do throws(FormatError) {
      _ = try SignedEpoch(bytes, number: number, repository: config.id, root: config.rootPublicKey)
    } catch {
      return error.message
    }
    throw YesterError(.failed, "The epoch \(number) is sound", advice: "There is nothing to drop.")
  }

  /// The sound epoch is the newest from then on.
  package func drop() throws(YesterError) {
    try store.delete(.epoch(number))
    // Perhaps it was seen here before it was damaged.
    repository.memory.update { $0.accept(repository.keyring.epoch) }
  }
}
