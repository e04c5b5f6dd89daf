package import Platform
package import Reporting
package import RepositoryCore
internal import RepositoryFormat
internal import SnapshotTree

/// Which snapshots the rules keep, and the removal of the others.
package enum Rotation {
  package struct Decision: Sendable {
    package let snapshot: CatalogedSnapshot
    /// Why it is kept, in words; empty when it goes.
    package let reasons: [String]
    package var isKept: Bool { !reasons.isEmpty }
  }

  /// Oldest first. `now` ends pins, and tells snapshots of the future. Throws `YesterError`.
  package static func decide(
    _ catalog: SnapshotCatalog, host: String?, plan: String?, rules: RetentionRules, force: Bool,
    now: Timestamp = .now()
  ) throws(YesterError) -> [Decision] {
    let candidates = try SnapshotFilter(host: host, plan: plan).select(from: catalog)
    let byID = Dictionary(uniqueKeysWithValues: candidates.map { ($0.id, $0) })
    do throws(RetentionError) {
      let decisions = try RetentionPolicy.decide(
        candidates.map { candidate($0, among: candidates) }, rules: rules, nowSeconds: now.seconds,
        force: force)
      return decisions.compactMap { decision in
        byID[decision.candidate.id].map { Decision(snapshot: $0, reasons: decision.reasons.map(\.description)) }
      }
    } catch {
      throw YesterError(
        .usage, "These rules cannot be used: \(error)", advice: "Give at least one rule, such as --keep-daily 30.")
    }
  }

  static func candidate(
    _ s: CatalogedSnapshot, among all: [CatalogedSnapshot]
  ) -> RetentionCandidate<ObjectID> {
    let kind: RetentionKind =
      switch s.record.kind {
      case .daily: .daily
      case .manual: .manual
      case .preChange: .preChange
      case .restorePoint: .restorePoint
      }
    return RetentionCandidate(
      id: s.id, host: s.record.host, plan: s.record.plan, kind: kind, timeSeconds: s.record.start.seconds,
      utcOffsetSeconds: s.record.utcOffset, tags: s.record.tags, isVerified: s.verified != nil, isPinned: s.isPinned,
      pinnedUntilSeconds: s.pinnedUntil?.seconds, isConfirmed: s.isConfirmed,
      isSuspicious: isSuspicious(s, among: all))
  }

  /// Empty, or a tenth of what the one before it held: a source that was not mounted looks like that.
  static func isSuspicious(_ snapshot: CatalogedSnapshot, among all: [CatalogedSnapshot]) -> Bool {
    let before = all.last {
      $0.record.host == snapshot.record.host && $0.record.plan == snapshot.record.plan
        && $0.record.sources == snapshot.record.sources && $0.record.start < snapshot.record.start
        && $0.record.kind != .restorePoint
    }
    guard let before else { return false }
    let (old, new) = (before.record.counts, snapshot.record.counts)
    if old.files > 0 && new.files == 0 { return true }
    return new.entries * 10 < old.entries || new.bytes * 10 < old.bytes
  }

  /// Removes what is not kept, as `Removal` does. The space comes back with `Prune`.
  package static func remove(_ decisions: [Decision], _ repository: Repository) throws(YesterError) {
    try Removal.carryOut(decisions.filter { !$0.isKept }.map(\.snapshot), repository, reason: "rotation")
  }
}
