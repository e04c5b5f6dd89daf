internal import ChunkCodec
internal import ObjectStores
internal import Platform
package import Reporting
internal import RepositoryFormat

/// Epochs and what this machine remembers of them. A store can give back an old state of everything: then a key that was
/// removed would be in force again, and a backup would be sealed to keys that were stolen. Only who has seen the newer
/// epoch can tell.
extension Repository {
  /// How many epochs at most are looked at to see that one follows from another.
  private static let stepsMax: UInt64 = 1024

  /// Tells the user when the epoch that the repository was opened under does not follow from the one that was seen last,
  /// and remembers it otherwise. Why nothing may be written, a sentence without its full stop; nil when all is well.
  static func compareWithMemory(
    _ epoch: SignedEpoch, _ memory: RepositoryMemoryFile, _ store: any ObjectStore, _ config: RepositoryConfig
  ) throws(YesterError) -> String? {
    guard let seen = memory.load().epoch else {
      memory.update { $0.see(epoch.name) }
      return nil
    }
    if seen == epoch.name { return nil }
    if epoch.name.number < seen.number {
      return "The repository \(store.location) is at epoch \(epoch.name.number), and this machine has seen epoch "
        + "\(seen.number): it is an old copy, or somebody took away what changed its keys since"
    }
    guard try follows(epoch, seen, store, config) else {
      return "The epoch \(epoch.name.number) of the repository \(store.location) does not follow from the epoch "
        + "\(seen.number) that this machine has seen: somebody with a full key has exchanged it"
    }
    memory.update { $0.see(epoch.name) }
    return nil
  }

  /// Whether each epoch names the one before it, from the one that was seen on.
  private static func follows(
    _ epoch: SignedEpoch, _ seen: EpochName, _ store: any ObjectStore, _ config: RepositoryConfig
  ) throws(YesterError) -> Bool {
    guard epoch.name.number > seen.number, epoch.name.number - seen.number <= stepsMax else { return false }
    var later = epoch
    while later.name.number > seen.number + 1 {
      let before = try Epochs.read(later.name.number - 1, store, config)
      guard later.head.previous == before.name.digest else { return false }
      later = before
    }
    return later.head.previous == seen.digest
  }

  /// Fails where this machine has seen a newer epoch, or another one: nothing is written then.
  package func requireTrustedEpoch() throws(YesterError) {
    guard let doubt = epochDoubt else { return }
    throw YesterError(
      .damaged, "\(doubt). Nothing was written",
      advice: "If an old copy was put back on purpose, remove the file \(memory.path), in which this machine remembers "
        + "what it has seen, and run the command again.")
  }
}
