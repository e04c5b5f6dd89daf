package import ChunkCodec
internal import ObjectStores
package import Platform
package import Reporting
package import RepositoryCore
package import RepositoryFormat

/// The keys of a repository: who can open it, and with what.
///
/// Every change is a new slot at most, and then the next epoch, which puts it into force: a slot alone opens nothing, so
/// that a crash leaves the change done or not done. Nothing here removes the last way to read the repository.
package enum KeySlots {
  /// A member, with its slot.
  package struct Found: Sendable {
    package let member: RosterMember
    /// What opens its slot, or why that is unusable; nil for a member that was removed.
    package let header: Result<SlotHeader, FormatError>?

    package var readable: SlotHeader? { try? header?.get() }
    /// What it is called: the slot's id, or the member's where it has none.
    package var name: String { member.slot?.hex ?? member.id.description }
    package var shortName: String { String(name.prefix(8)) }

    package var state: State {
      switch member.state {
      case .inForce: readable == nil ? .unusable : .inForce
      case .removed: .removed
      case .revoked: .revoked
      }
    }
  }

  package enum State: String, Sendable {
    case inForce = "in-force"
    /// In force, but its slot is damaged or missing.
    case unusable
    case removed
    case revoked
  }

  /// As the newest epoch says: those in force, and with `isComplete` those that were once.
  package static func list(_ repository: Repository, isComplete: Bool = false) throws(YesterError) -> [Found] {
    var out: [Found] = []
    for member in try newest(repository).roster.members where isComplete || member.isInForce {
      var header: Result<SlotHeader, FormatError>?
      if let slot = member.slot {
        let bytes = try repository.store.get(.slot(slot), limit: Limits.slotSizeMax)
        if bytes == nil { try repository.store.requireGone([slot], from: .keys) }
        header = Self.header(slot, bytes, repository)
      }
      out.append(Found(member: member, header: header))
    }
    return out
  }

  private static func newest(_ repository: Repository) throws(YesterError) -> Keyring {
    let epoch = try Epochs.newest(repository.store, repository.config)
    if epoch.name == repository.keyring.epoch { return repository.keyring }
    guard let keyring = try Epochs.opened(epoch, by: repository.keyring.slot, repository.store) else {
      throw Epochs.removed(repository.store)
    }
    return keyring
  }

  private static func header(
    _ id: ObjectID,
    _ bytes: [UInt8]?,
    _ repository: Repository
  ) -> Result<SlotHeader, FormatError> {
    Result { () throws(FormatError) in
      guard let bytes else { throw FormatError("it is missing") }
      guard ObjectID(nameOf: SHA256.hash(bytes)) == id else { throw FormatError("its bytes do not fit its name") }
      return try SlotHeader(decoding: bytes, repository: repository.config.id)
    }
  }

  /// The one that `text` is the beginning of, or its label.
  package static func find(_ text: String, in slots: [Found]) throws(YesterError) -> Found {
    let word = text.lowercased()
    let matching = slots.filter { slot in
      (text.utf8.count >= 4 && (slot.name.hasPrefix(word) || slot.member.id.description.hasPrefix(word)))
        || (!text.isEmpty && slot.member.label == Array(text.utf8))
    }
    guard let slot = matching.first, matching.count == 1 else {
      throw YesterError(
        .failed,
        matching.isEmpty ? "There is no key \"\(text)\"" : "\"\(text)\" means \(matching.count) keys",
        advice: "Give the id, at least its first 4 characters, or the label, as \"yester key list\" shows them."
      )
    }
    return slot
  }

  /// Adds a key with a writer identity of its own. `hosts` are those whose snapshots it may make; none for any.
  package static func add(
    _ repository: Repository,
    _ role: KeyRole,
    _ secret: Secret,
    label: String,
    hosts: [String] = []
  ) throws(YesterError) -> ObjectID {
    let change = try EpochChange(repository, "add keys")
    try requireUnused(secret, repository)
    return try withNewSlot(change, secret) { (slot) throws(YesterError) in
      _ = try change.run { (draft, _) throws(YesterError) in
        draft.add(role, label: label, hosts: hosts, slot: slot, created: .now())
      }
    }
  }

  /// Puts a new secret in the place of a key's own, or of that in use. Identity, label and role stay.
  package static func change(
    _ repository: Repository,
    to secret: Secret,
    of member: MemberID? = nil
  ) throws(YesterError) -> ObjectID {
    let change = try EpochChange(repository, "change what opens a key")
    try requireUnused(secret, repository)
    let member = member ?? repository.keyring.member
    var old: ObjectID?
    let id = try withNewSlot(change, secret) { (slot) throws(YesterError) in
      old =
        try change.run { (draft, _) throws(YesterError) in
          guard let before = draft.members.first(where: { $0.id == member })?.slot else {
            throw YesterError(.failed, "The key was removed", advice: "Run \"yester key list\".")
          }
          draft.setSlot(slot, of: member)
          return before
        }.value
    }
    // Without effect from now on; where it cannot be deleted, the next change of keys tries again.
    if let old { try? repository.store.delete(.slot(old)) }
    return id
  }

  /// Makes new keys for everybody, for what is written from now on: what seals, what signs and what opens own records. No
  /// secret changes. `isForced` goes on where records cannot be read. The number of the new epoch.
  @discardableResult
  package static func rotate(_ repository: Repository, isForced: Bool = false) throws(YesterError) -> UInt64 {
    let change = try EpochChange(repository, "rotate the keys")
    let (before, epoch) = try change.run { (draft, current) throws(YesterError) in
      let ends = try EpochChange.chainEnds(current, isForced: isForced)
      try making { () throws(FormatError) in try draft.rotate(ends) }
      return current
    }
    try change.countLateRecords(before: before)
    LeftoverSlots.remove(repository, epoch)
    return epoch.name.number
  }

  // MARK: Slots

  /// Stores a slot, and calls `use` to put it into force. It is taken away again when that has certainly failed.
  private static func withNewSlot(
    _ change: EpochChange,
    _ secret: Secret,
    _ use: (SlotKey) throws(YesterError) -> Void
  ) throws(YesterError) -> ObjectID {
    let repository = change.repository
    let config = repository.config
    let (slot, opening) = try making { () throws(FormatError) in
      let slot = try KeySlot.make(
        with: secret, repository: config.id, root: config.rootPublicKey, created: .now())
      let opening = try KeySlot.open(
        slot.bytes, repository: config.id, root: config.rootPublicKey, with: secret)
      return (slot, opening)
    }
    guard case .opened(let opened) = opening, opened.id == slot.key.id else {
      throw YesterError(.failed, "The new key slot does not open, and was not stored")
    }
    try repository.store.put(.slot(slot.key.id), slot.bytes)
    do throws(YesterError) {
      try use(slot.key)
    } catch {
      if error.code != .incomplete { try? repository.store.delete(.slot(slot.key.id)) }
      throw error
    }
    // Somebody who swept meanwhile may have taken it for a left-over.
    do throws(YesterError) {
      try repository.store.put(.slot(slot.key.id), slot.bytes)
    } catch {
      throw YesterError(
        .incomplete, "The key \(slot.key.id.short) is in force, but its slot may be missing: \(error.message)",
        advice: "Try whether it opens the repository; if not, remove it and add it again.", cause: error.cause)
    }
    LeftoverSlots.remove(repository, try Epochs.newest(repository.store, config))
    return slot.key.id
  }

  /// What is made here breaks the format only where it has no room for more.
  private static func making<Value>(_ body: () throws(FormatError) -> Value) throws(YesterError) -> Value {
    do throws(FormatError) {
      return try body()
    } catch {
      throw YesterError(.failed, "The new keys cannot be stored: \(error.message)")
    }
  }

  /// One secret for two slots would open either, and nobody could say which.
  private static func requireUnused(_ secret: Secret, _ repository: Repository) throws(YesterError) {
    for slot in try list(repository) where slot.readable != nil {
      guard let id = slot.member.slot, let bytes = try repository.store.get(.slot(id), limit: Limits.slotSizeMax),
        case .opened? = try? KeySlot.open(
          bytes, repository: repository.config.id, root: repository.config.rootPublicKey, with: secret)
      else { continue }
      throw YesterError(
        .failed,
        "The new key or password already opens the key slot \(id.short)",
        advice: "Choose another one."
      )
    }
  }
}
