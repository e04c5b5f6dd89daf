package import ChunkCodec
package import ObjectStores
internal import Platform
package import Reporting
package import RepositoryFormat

/// The epochs of a repository: who may do what in it, as its root key has signed it (docs/format.md, section 4.3).
///
/// The newest epoch says all; those before it are kept, to tell how it came to that. One that is damaged, or that a
/// stranger has put there, is never passed over in silence: what it took away from somebody would be given back to them.
package enum Epochs {
  /// Ascending. Throws when there are none.
  package static func numbers(_ store: any ObjectStore) throws(YesterError) -> [UInt64] {
    var numbers: Set<UInt64> = []
    func take(_ name: String, _: UInt64) {
      if name.utf8.count == 16, let number = UInt64(name, radix: 16), number > 0 { numbers.insert(number) }
    }
    try store.list(.epochs, take)
    // One that is lost must not make the one before it the newest.
    if store.healing != nil { try store.listCopies(of: .epochs, take) }
    guard !numbers.isEmpty else {
      throw YesterError(
        .damaged, "The repository \(store.location) has no epochs, which say who may open it",
        advice: "Copy the folder \"epochs\" back from a second copy of the repository.")
    }
    return numbers.sorted()
  }

  package static func newest(_ store: any ObjectStore, _ config: RepositoryConfig) throws(YesterError) -> SignedEpoch {
    let numbers = try numbers(store)
    return try read(numbers.last ?? 1, store, config, before: numbers.dropLast().last)
  }

  package static func newestNumber(_ store: any ObjectStore) throws(YesterError) -> UInt64 {
    try numbers(store).last ?? 1
  }

  /// Error 13 when it is not what the root key has signed. `before` is the epoch to advise then.
  package static func read(
    _ number: UInt64, _ store: any ObjectStore, _ config: RepositoryConfig, before: UInt64? = nil
  ) throws(YesterError) -> SignedEpoch {
    let key = ObjectKey.epoch(number)
    guard let bytes = try store.get(key, limit: Limits.epochSizeMax) else {
      throw YesterError(
        .failed, "The repository \(store.location) does not give its epoch \(number) (the object \(key))",
        advice: "Check that its disk or server is connected and works, then run the command again.")
    }
    func signed(_ bytes: [UInt8]) throws(FormatError) -> SignedEpoch {
      try SignedEpoch(bytes, number: number, repository: config.id, root: config.rootPublicKey)
    }
    do throws(FormatError) {
      return try signed(bytes)
    } catch {
      // The signature says better than a second copy which of two that differ is the right one.
      if let first = try? store.healing?.store.get(key, limit: Limits.epochSizeMax), let epoch = try? signed(first) {
        return epoch
      }
      throw unusable(number, store, error, before)
    }
  }

  private static func unusable(
    _ number: UInt64, _ store: any ObjectStore, _ error: FormatError, _ before: UInt64?
  ) -> YesterError {
    let key = ObjectKey.epoch(number)
    if error.kind == .needsNewerVersion {
      return YesterError(
        .failed, "The epoch \(number) of \(store.location) is unusable: \(error.message)",
        advice: "Install a newer yester.")
    }
    return YesterError(
      .damaged,
      "The epoch \(number) of the repository \(store.location), which says who may open it, is unusable: \(error.message)",
      advice: "Copy the object \"\(key)\" back from a second copy of the repository. If somebody has put it there, or "
        + "there is no other copy, \"yester key drop-epoch \(number)\" says what would be lost without it, and takes it "
        + "away. "
        + (before.map { "YESTER_EPOCH=\($0) opens the repository for reading as it was before." } ?? ""))
  }

  /// Opens the slot that fits the secret, and the epoch by it. Only slots that the epoch names are tried: others cost
  /// nothing and open nothing.
  static func unlock(
    _ epoch: SignedEpoch, _ store: any ObjectStore, _ config: RepositoryConfig, _ secret: Secret
  ) throws(YesterError) -> Keyring {
    var damage: (ObjectID, FormatError)?
    for slot in epoch.head.slots.map(\.id) {
      guard let bytes = try store.get(.slot(slot), limit: Limits.slotSizeMax) else {
        damage = (slot, FormatError("it is not there"))
        continue
      }
      guard ObjectID(nameOf: SHA256.hash(bytes)) == slot else {
        damage = (slot, FormatError("its bytes do not fit its name"))
        continue
      }
      let opening: KeySlot.Opening
      do throws(FormatError) {
        opening = try KeySlot.open(bytes, repository: config.id, root: config.rootPublicKey, with: secret)
      } catch {
        damage = (slot, error)
        continue
      }
      if case .opened(let key) = opening { return try open(epoch, by: key, store) }
    }
    if let (id, error) = damage {
      throw YesterError(
        .damaged, "No key slot opens with this secret, and the slot \(id.short) is unusable: \(error.message)",
        advice: "Try another key, or copy the folder \"keys\" back from a second copy of the repository.")
    }
    let what = if case .password = secret { "password" } else { "key file" }
    throw YesterError(
      .wrongKey, "The \(what) opens no key slot of \(store.location)",
      advice: "Check that it is the right one for this repository, and that it was not changed or removed: "
        + "\"yester key list\" with another key shows which there are.")
  }

  private static func open(
    _ epoch: SignedEpoch, by slot: SlotKey, _ store: any ObjectStore
  ) throws(YesterError) -> Keyring {
    if let keyring = try opened(epoch, by: slot, store) { return keyring }
    throw removed(store)
  }

  /// Nil when the slot is not in force in it.
  package static func opened(
    _ epoch: SignedEpoch, by slot: SlotKey, _ store: any ObjectStore
  ) throws(YesterError) -> Keyring? {
    do throws(FormatError) {
      return try epoch.open(by: slot)
    } catch {
      // The root key has signed it, so that no damage explains it.
      throw YesterError(
        .damaged, "The epoch \(epoch.name.number) of the repository \(store.location) is unusable: \(error.message)",
        advice: "Please report this: the yester that made the epoch has a fault.")
    }
  }

  package static func removed(_ store: any ObjectStore) -> YesterError {
    YesterError(
      .wrongKey, "This key of \(store.location) was removed, or its password or key file was changed",
      advice: "Use another key.")
  }
}
