internal import ChunkCodec
internal import ObjectStores
package import Platform
package import Reporting
package import RepositoryCore
internal import RepositoryFormat

extension KeySlots {
  /// What becomes of what a revoked key has stored.
  package struct Revocation: Sendable {
    /// Nil for a dry run.
    package let epoch: UInt64?
    /// Snapshots of the key, oldest first. Those that are kept count as before, and somebody should look at them.
    package let kept: [CatalogedSnapshot]
    package let dropped: [CatalogedSnapshot]
  }

  /// From when on what a key has stored counts for nothing.
  package enum RevocationPoint: Sendable {
    /// What is there counts.
    case now
    /// Nothing does, from the first record or note on that says to be of this time or later.
    case time(Timestamp)
    case beginning
  }

  /// Takes a key out of force because somebody else has it. Unlike a key that is removed in good order it can be one that
  /// was removed before, and what it has stored can be dropped. Its packs are trusted no more than those of strangers.
  package static func revoke(
    _ slot: Found, _ repository: Repository, from point: RevocationPoint, isDryRun: Bool = false
  ) throws(YesterError) -> Revocation {
    let change = try EpochChange(repository, "revoke keys")
    let id = slot.member.id
    guard id != repository.keyring.member else {
      throw YesterError(
        .failed, "The key \(slot.shortName) is the one that opened the repository just now",
        advice: "Use another full key; add one first, with \"yester key add\".")
    }
    if isDryRun {
      let (kept, dropped, _) = try assess(slot.member, change.newest(), point)
      return Revocation(epoch: nil, kept: kept, dropped: dropped)
    }
    let (found, epoch) = try change.run { (draft, current) throws(YesterError) in
      guard let member = draft.members.first(where: { $0.id == id }) else {
        throw YesterError(.failed, "There is no such key", advice: "Run \"yester key list\".")
      }
      if member.isInForce { try requireSuccessor(of: member, current) }
      let found = try assess(member, current, point)
      draft.revoke(id, found.lasts)
      return found
    }
    if let slot = slot.member.slot { try? repository.store.delete(.slot(slot)) }
    LeftoverSlots.remove(repository, epoch)
    return Revocation(epoch: epoch.name.number, kept: found.kept, dropped: found.dropped)
  }

  private typealias Assessment = (
    kept: [CatalogedSnapshot], dropped: [CatalogedSnapshot], lasts: [[UInt8]: ChainEnd]
  )

  private static func assess(
    _ member: RosterMember, _ repository: Repository, _ point: RevocationPoint
  ) throws(YesterError) -> Assessment {
    let catalog = try SnapshotCatalog(repository)
    var lasts: [[UInt8]: ChainEnd] = [:]
    for writer in member.writers.map(\.publicKey) { lasts[writer] = last(of: writer, catalog, point) }
    var out: Assessment = ([], [], lasts)
    for snapshot in catalog.snapshots where snapshot.envelope.member == member.id {
      let last = lasts[snapshot.envelope.writer]?.sequence ?? 0
      if snapshot.record.sequence <= last { out.kept.append(snapshot) } else { out.dropped.append(snapshot) }
    }
    return out
  }

  /// By number, not by time: whoever has the key can give his records any time, but not the number of one that is there.
  private static func last(of writer: [UInt8], _ catalog: SnapshotCatalog, _ point: RevocationPoint) -> ChainEnd {
    let (next, previous) = catalog.chainEnd(of: writer)
    guard let previous else { return .nothing }
    let end = ChainEnd(sequence: next - 1, id: previous)
    switch point {
    case .now: return end
    case .beginning: return .nothing
    case .time(let time):
      let links =
        catalog.snapshots.filter { $0.envelope.writer == writer }.map {
          (sequence: $0.record.sequence, id: $0.id, time: $0.record.end)
        }
        + catalog.notes.filter { $0.envelope.writer == writer }.map {
          (sequence: $0.note.sequence, id: $0.id, time: $0.note.time)
        }
      guard let first = links.filter({ $0.time >= time }).map(\.sequence).min() else { return end }
      let before = links.filter { $0.sequence < first }.max { $0.sequence < $1.sequence }
      return ChainEnd(sequence: max(first, 1) - 1, id: before?.id ?? .zero)
    }
  }
}
