internal import ChunkCodec
internal import ObjectStores
package import Reporting
package import RepositoryCore
internal import RepositoryFormat

extension KeySlots {
  /// Removes a key: it opens the repository no more. What its holder copied before stays readable to them. What it has
  /// stored counts as before; what comes after under its name counts for nothing.
  ///
  /// The last full key is never removed, for nobody could read the backups any more. `isForced` is needed for the key in
  /// use, and where records cannot be read, and does not change that.
  package static func remove(_ slot: Found, _ repository: Repository, isForced: Bool) throws(YesterError) {
    let change = try EpochChange(repository, "remove keys")
    let id = slot.member.id
    let isOwn = id == repository.keyring.member
    if isOwn && !isForced {
      throw YesterError(
        .failed,
        "The key \(slot.shortName) is the one that opened the repository just now",
        advice: "Use another key, or --force."
      )
    }
    let (before, epoch) = try change.run { (draft, current) throws(YesterError) in
      let member = try requireInForce(id, draft)
      try requireSuccessor(of: member, current)
      draft.remove(id, try EpochChange.chainEnds(current, isForced: isForced))
      return current
    }
    if let slot = slot.member.slot { try? repository.store.delete(.slot(slot)) }
    // A key that has removed itself cannot open the epoch that it made.
    if !isOwn { try change.countLateRecords(before: before) }
    LeftoverSlots.remove(repository, epoch)
  }

  static func requireInForce(_ id: MemberID, _ draft: EpochDraft) throws(YesterError) -> RosterMember {
    guard let member = draft.members.first(where: { $0.id == id }), member.isInForce else {
      throw YesterError(.failed, "The key was removed already", advice: "Run \"yester key list\".")
    }
    return member
  }

  /// One whose slot is damaged or missing is none.
  static func requireSuccessor(of member: RosterMember, _ repository: Repository) throws(YesterError) {
    guard member.role == .full, let slot = member.slot else { return }
    let others = try list(repository).filter { $0.member.id != member.id && $0.member.role == .full }
    guard others.contains(where: { $0.readable != nil }) else {
      throw YesterError(
        .failed,
        "The key \(slot.short) is the last full one: without it nobody could read the backups",
        advice: "Add another full key first, with \"yester key add\". --force does not change this."
      )
    }
  }
}
