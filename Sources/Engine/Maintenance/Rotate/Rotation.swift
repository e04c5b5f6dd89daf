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
    /// What is wrong with it as the newest of its series; nil when nothing is. Then all of them are kept, unless that is
    /// overridden.
    package let suspicion: String?
    package var isKept: Bool { !reasons.isEmpty }
  }

  /// Oldest first. `now` ends pins, and tells snapshots of the future. Throws `YesterError`.
  package static func decide(
    _ catalog: SnapshotCatalog, host: String?, plan: String?, rules: RetentionRules, force: Bool,
    now: Timestamp = .now()
  ) throws(YesterError) -> [Decision] {
    // A snapshot that is not proven yet is not removed, and no other goes for it: it may be taken back.
    let candidates = try SnapshotFilter(host: host, plan: plan).select(from: catalog).filter { !$0.isUnproven }
    let byID = Dictionary(uniqueKeysWithValues: candidates.map { ($0.id, $0) })
    do throws(RetentionError) {
      let decisions = try RetentionPolicy.decide(
        candidates.map { candidate($0, among: candidates) }, rules: rules, nowSeconds: now.seconds,
        force: force)
      return decisions.compactMap { decision in
        byID[decision.candidate.id].map {
          let isHeldUp = decision.reasons.contains(.newestIsSuspicious)
          return Decision(
            snapshot: $0, reasons: decision.reasons.map(\.description),
            suspicion: isHeldUp ? suspicion(of: $0, among: candidates) : nil)
        }
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
      id: s.id, series: s.series, kind: kind, timeSeconds: s.record.start.seconds,
      utcOffsetSeconds: s.record.utcOffset, tags: s.record.tags, isVerified: s.verified != nil, isPinned: s.isPinned,
      pinnedUntilSeconds: s.pinnedUntil?.seconds, isConfirmed: s.isConfirmed,
      isSuspicious: suspicion(of: s, among: all) != nil, hasDoubtfulTime: s.timeDoubt != nil)
  }

  /// Why a snapshot should not push out others: it is empty, or has less than a tenth of the entries or bytes of the one
  /// before it in its series. A source that was not mounted looks like that. A clause; nil when all is as usual.
  static func suspicion(of snapshot: CatalogedSnapshot, among all: [CatalogedSnapshot]) -> String? {
    let series = snapshot.series
    let before = all.last {
      $0.timeDoubt == nil && $0.record.kind != .restorePoint && $0.record.start < snapshot.record.start
        && $0.series == series
    }
    guard let before else { return nil }
    let (old, new) = (before.record.counts, snapshot.record.counts)
    let than = "than \(before.record.name) before it"
    if old.files > 0 && new.files == 0 { return "it holds no files, other \(than)" }
    // What a record says of itself may be a lie; how much is below its root is proven when that is read.
    let entries = min(new.entries, snapshot.record.root.below.clampedSum(1))
    if isTenth(entries, of: old.entries) { return "it holds \(entries) entries, far fewer \(than) (\(old.entries))" }
    if isTenth(new.bytes, of: old.bytes) { return "it holds \(new.bytes) bytes, far fewer \(than) (\(old.bytes))" }
    return nil
  }

  /// Any numbers.
  private static func isTenth(_ new: UInt64, of old: UInt64) -> Bool {
    let (tenfold, overflow) = new.multipliedReportingOverflow(by: 10)
    return !overflow && tenfold < old
  }

  /// Removes what is not kept, as `Removal` does. The space comes back with `Prune`.
  package static func remove(_ decisions: [Decision], _ repository: Repository) throws(YesterError) {
    try Removal.carryOut(decisions.filter { !$0.isKept }.map(\.snapshot), repository, reason: "rotation")
  }
}
