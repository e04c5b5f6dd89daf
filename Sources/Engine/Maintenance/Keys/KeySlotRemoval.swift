internal import ChunkCodec
internal import ObjectStores
package import Reporting
package import RepositoryCore
internal import RepositoryFormat

extension KeySlots {
  /// Removes a slot: its secret opens the repository no more. What its holder copied before stays readable to them.
  ///
  /// A full slot is only removed while another full one is left that holds the same keys: otherwise nobody could
  /// read what was sealed with them. `isForced` is needed for the slot in use and for one that cannot be read, and
  /// does not change that.
  package static func remove(_ slot: Found, _ repository: Repository, isForced: Bool) throws(YesterError) {
    try repository.requireFullKey("remove keys")
    if slot.id == repository.slot && !isForced {
      throw YesterError(
        .failed,
        "The key slot \(slot.id.short) is the one that opened the repository just now",
        advice: "Use another key, or --force."
      )
    }
    guard let header = slot.readable else {
      guard isForced else {
        throw YesterError(
          .failed,
          "The key slot \(slot.id.short) is damaged or was made by a newer yester, so that nobody can tell what it opens",
          advice: "Remove it with --force."
        )
      }
      return try repository.store.delete(.slot(slot.id))
    }
    if header.role == .full { try requireSuccessor(of: slot, header, repository) }
    try repository.store.delete(.slot(slot.id))
  }

  private static func requireSuccessor(
    of slot: Found,
    _ header: SlotHeader,
    _ repository: Repository
  ) throws(YesterError) {
    // Looked for now: what a list of a while ago has may be gone.
    let others = try list(repository).filter { $0.id != slot.id && $0.readable?.role == .full }
    guard !others.isEmpty else {
      throw YesterError(
        .failed,
        "The key slot \(slot.id.short) is the last full one: without it nobody could read the backups",
        advice: "Add another full key first, with \"yester key add\". --force does not change this."
      )
    }
    // Later keys come on top of earlier ones: whoever has the current set has all that this keyring knows.
    let known = repository.keyring
    let isCovered = others.contains { other in
      guard let keys = other.readable?.keySet else { return false }
      return keys == header.keySet || (known.keySet(header.keySet) != nil && keys == known.current.id)
    }
    guard isCovered else {
      throw YesterError(
        .failed,
        "The key slot \(slot.id.short) is the only full one that holds its keys: without it nobody could read what was sealed with them",
        advice: "Add another full key with this one first, with \"yester key add\". --force does not change this."
      )
    }
  }
}
