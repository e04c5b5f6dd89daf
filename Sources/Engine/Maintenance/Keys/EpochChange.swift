internal import ChunkCodec
internal import ObjectStores
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat

/// Makes the next epoch of a repository, on top of whatever is the newest at that moment: of several that do so at once,
/// one finds the next number taken, reads what the other has said, and begins again from there. So no change is lost, and
/// nobody changes what was not looked at.
struct EpochChange {
  /// What comes after so many others in a row had better wait.
  private static let triesMax = 16
  let repository: Repository
  /// "add keys"
  let purpose: String

  init(_ repository: Repository, _ purpose: String) throws(YesterError) {
    try repository.requireFullKey(purpose)
    try repository.requireTrustedEpoch()
    self.repository = repository
    self.purpose = purpose
  }

  /// The repository as its newest epoch says.
  func newest() throws(YesterError) -> Repository {
    let epoch = try Epochs.newest(repository.store, repository.config)
    guard epoch.name.number >= repository.keyring.epoch.number else {
      throw YesterError(
        .damaged, "The repository \(repository.store.location) has lost its epoch \(repository.keyring.epoch.number)",
        advice: "It may be an old copy, or somebody took it away. Nothing was changed.")
    }
    guard let keyring = try Epochs.opened(epoch, by: repository.keyring.slot, repository.store) else {
      throw Epochs.removed(repository.store)
    }
    return keyring.epoch == repository.keyring.epoch ? repository : repository.following(keyring)
  }

  /// Applies `edit` to what the newest epoch says, and stores it as the next one. `edit` may be called several times, each
  /// with the repository as it is then. What it gives the last time is the result, with the new epoch's object.
  ///
  /// Error 3: whether the change took place is not known.
  func run<Value>(
    _ edit: (inout EpochDraft, Repository) throws(YesterError) -> Value
  ) throws(YesterError) -> (value: Value, epoch: SignedEpoch) {
    for _ in 0..<Self.triesMax {
      let current = try newest()
      guard var draft = EpochDraft(after: current.keyring) else { throw Epochs.removed(repository.store) }
      let value = try edit(&draft, current)
      if let epoch = try store(draft) {
        repository.memory.update { $0.see(epoch.name) }
        return (value, epoch)
      }
    }
    throw YesterError(
      .busy, "Others change the keys of \(repository.store.location) all the time", advice: "Run the command again.")
  }

  /// Nil when somebody else was first.
  private func store(_ draft: EpochDraft) throws(YesterError) -> SignedEpoch? {
    let bytes: [UInt8]
    let epoch: SignedEpoch
    do throws(FormatError) {
      bytes = try draft.seal(created: .now())
      // What cannot be read again would shut everybody out.
      epoch = try SignedEpoch(
        bytes, number: draft.number, repository: repository.config.id, root: repository.config.rootPublicKey)
    } catch {
      throw YesterError(.failed, "The new keys cannot be stored: \(error.message)")
    }
    return try put(.epoch(draft.number), bytes) ? epoch : nil
  }

  /// Whether these bytes are there now. A failed call may have arrived all the same.
  private func put(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    let store = repository.store
    let failure: YesterError
    do throws(YesterError) {
      if try store.put(key, bytes) { return true }
      // Perhaps by a try before this one, whose answer was lost.
      return try store.get(key, limit: Limits.epochSizeMax) == bytes
    } catch {
      failure = error
    }
    if let found = try? store.get(key, limit: Limits.epochSizeMax) { return found == bytes }
    // What is not there may still be on its way.
    throw YesterError(
      .incomplete, "It is not known whether the change of the keys took place: \(failure.message)",
      advice: "Look with \"yester key list\".", cause: failure.cause)
  }
}

extension EpochChange {
  /// How far the chains of all writers in force are, as the repository is now: what a change takes out of force counts up
  /// to there. What cannot be read might belong to them.
  static func chainEnds(_ repository: Repository, isForced: Bool) throws(YesterError) -> [[UInt8]: ChainEnd] {
    let catalog = try SnapshotCatalog(repository)
    if let (id, error) = catalog.damaged.first, !isForced {
      throw YesterError(
        .damaged,
        "Whose the object snapshots/\(id) is cannot be told (\(error.message)), and it would count for nothing afterwards, "
          + "though it might be repaired",
        advice: "Repair or remove it first, or use --force.")
    }
    var ends: [[UInt8]: ChainEnd] = [:]
    for writer in repository.keyring.roster.members.filter(\.isInForce).map(\.writers[0].publicKey) {
      let (next, previous) = catalog.chainEnd(of: writer)
      if let previous { ends[writer] = ChainEnd(sequence: next - 1, id: previous) }
    }
    return ends
  }

  /// To be called after a change that took keys out of force. Others may have stored records between the moment when their
  /// chains were looked at and that in which the epoch was there: from then on they see it themselves.
  func countLateRecords(before repository: Repository) throws(YesterError) {
    let ends = try Self.chainEnds(repository, isForced: true)
    let current = try newest()
    guard var probe = EpochDraft(after: current.keyring), probe.extend(ends) else { return }
    _ = try run { (draft, _) throws(YesterError) in _ = draft.extend(ends) }
  }
}
