internal import ObjectStores
package import ChunkCodec
package import Platform
package import Reporting
package import RepositoryCore
package import RepositoryFormat

/// The key slots of a repository: who can open it, and with what.
///
/// A slot object never changes; changing one stores a new object, then deletes the old one, so that a crash leaves
/// both and never none. Nothing here removes the last way to read the repository.
package enum KeySlots {
  package struct Found: Sendable {
    package let id: ObjectID
    /// What can be read without a secret, or why it cannot.
    package let header: Result<SlotHeader, FormatError>

    package var readable: SlotHeader? { try? header.get() }
  }

  /// Whether a slot opens what is written from now on.
  package enum State: String, Sendable {
    case current
    /// The keys were rotated since: it reads older snapshots only.
    case outdated
    case unusable
  }

  package static func list(_ repository: Repository) throws(YesterError) -> [Found] {
    var out: [Found] = []
    var vanished: [ObjectID] = []
    for id in try repository.store.ids(.keys) {
      if let bytes = try repository.store.get(.slot(id), limit: Limits.slotSizeMax) {
        out.append(Found(id: id, header: header(id, bytes, repository)))
      } else {
        vanished.append(id)
      }
    }
    try repository.store.requireGone(vanished, from: .keys)
    func age(_ slot: Found) -> (Int64, ObjectID) { (slot.readable?.createdSeconds ?? .max, slot.id) }
    return out.sorted { age($0) < age($1) }
  }

  private static func header(
    _ id: ObjectID,
    _ bytes: [UInt8],
    _ repository: Repository
  ) -> Result<SlotHeader, FormatError> {
    Result { () throws(FormatError) in
      guard ObjectID(nameOf: SHA256.hash(bytes)) == id else { throw FormatError("its bytes do not fit its name") }
      return try SlotHeader.decode(bytes, repository: repository.config.id).0
    }
  }

  /// Slots hold all key sets up to their own current one. One whose set this keyring does not know was made after a
  /// rotation that this keyring took no part in.
  package static func state(_ slot: Found, among slots: [Found], _ repository: Repository) -> State {
    guard let header = slot.readable else { return .unusable }
    let keyring = repository.keyring
    let isBehind = slots.contains { $0.readable.map { keyring.keySet($0.keySet) == nil } ?? false }
    if keyring.keySet(header.keySet) == nil { return .current }
    return !isBehind && header.keySet == keyring.current.id ? .current : .outdated
  }

  /// The slot that `text` is the beginning of.
  package static func find(_ text: String, in slots: [Found]) throws(YesterError) -> Found {
    let matching = slots.filter { text.utf8.count >= 4 && $0.id.hex.hasPrefix(text.lowercased()) }
    guard let slot = matching.first, matching.count == 1 else {
      throw YesterError(
        .failed,
        matching.isEmpty
          ? "There is no key slot \"\(text)\"" : "\"\(text)\" is the beginning of \(matching.count) key slots",
        advice: "Give the id, or at least its first 4 characters, as \"yester key list\" shows it."
      )
    }
    return slot
  }

  /// Adds a slot with a writer identity of its own.
  package static func add(
    _ repository: Repository,
    _ role: KeyRole,
    _ secret: Secret,
    label: String
  ) throws(YesterError) -> ObjectID {
    try repository.requireFullKey("add keys")
    try requireUnused(secret, repository)
    guard let keyring = try making({ () throws(FormatError) in try repository.keyring.deriving(role) }) else {
      throw YesterError(.wrongKey, "This key cannot make others")
    }
    return try store(keyring, secret, label: label, repository)
  }

  /// Puts a new secret in the place of the one in use. The identity, the label and the role stay. Error 3: both may open
  /// the repository now.
  package static func change(_ repository: Repository, to secret: Secret) throws(YesterError) -> ObjectID {
    try requireUnused(secret, repository)
    return try replace(repository, with: repository.keyring, secret)
  }

  /// Puts new keys in front of the old ones, for what is written from now on, in the slot in use, which `secret`
  /// opens. Other slots keep the old keys only.
  package static func rotate(_ repository: Repository, _ secret: Secret) throws(YesterError) -> ObjectID {
    try repository.requireFullKey("rotate the keys")
    guard repository.keyring.keySets.count < Limits.keySetsMax else {
      throw YesterError(.failed, "The keys were rotated \(Limits.keySetsMax - 1) times, which is the most there can be")
    }
    let slots = try list(repository)
    guard !slots.contains(where: { $0.id == repository.slot && state($0, among: slots, repository) == .outdated })
    else {
      throw YesterError(
        .failed,
        "This key is outdated: the keys were rotated with another one since",
        advice: "Rotate with a key that \"yester key list\" shows as current."
      )
    }
    let keyring = try making { () throws(FormatError) in try repository.keyring.rotated() }
    return try replace(repository, with: keyring, secret)
  }

  private static func replace(
    _ repository: Repository, with keyring: Keyring, _ secret: Secret
  ) throws(YesterError) -> ObjectID {
    guard let old = try list(repository).first(where: { $0.id == repository.slot })?.readable else {
      throw YesterError(.failed, "The key slot in use is not there any more", advice: "Run \"yester key list\".")
    }
    let id = try store(keyring, secret, label: String(decoding: old.label, as: UTF8.self), repository)
    do throws(YesterError) {
      try repository.store.delete(.slot(repository.slot))
    } catch {
      // The new one is not taken back: perhaps the old one is gone, and only the answer was lost.
      throw YesterError(
        .incomplete, "The new key slot \(id.short) is stored, but the old one may still be there: \(error.message)",
        advice: "Look with \"yester key list\", and remove \(repository.slot.short) with \"yester key remove\".",
        cause: error.cause)
    }
    return id
  }

  /// What is made here breaks the format only where it has no room for more.
  private static func making<Value>(_ body: () throws(FormatError) -> Value) throws(YesterError) -> Value {
    do throws(FormatError) {
      return try body()
    } catch {
      throw YesterError(.failed, "The new keys cannot be stored: \(error.message)")
    }
  }

  /// Stores a slot after making sure that it opens.
  private static func store(
    _ keyring: Keyring,
    _ secret: Secret,
    label: String,
    _ repository: Repository
  ) throws(YesterError) -> ObjectID {
    let (bytes, opening) = try making { () throws(FormatError) in
      let bytes = try KeySlot.seal(keyring, with: secret, label: label, created: .now())
      return (bytes, try KeySlot.open(bytes, repository: repository.config.id, with: secret))
    }
    guard case .opened(let opened, _) = opening, opened.payload == keyring.payload else {
      throw YesterError(.failed, "The new key slot does not open, and was not stored")
    }
    let id = ObjectID(nameOf: SHA256.hash(bytes))
    try repository.store.put(.slot(id), bytes)
    return id
  }

  /// One secret for two slots would open either, and nobody could say which.
  private static func requireUnused(_ secret: Secret, _ repository: Repository) throws(YesterError) {
    for slot in try list(repository) where slot.readable != nil {
      guard let bytes = try repository.store.get(.slot(slot.id), limit: Limits.slotSizeMax),
        case .opened? = try? KeySlot.open(bytes, repository: repository.config.id, with: secret)
      else { continue }
      throw YesterError(
        .failed,
        "The new key or password already opens the key slot \(slot.id.short)",
        advice: "Choose another one."
      )
    }
  }
}
