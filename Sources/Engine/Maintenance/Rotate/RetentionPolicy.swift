// Decides what rotation keeps: a pure function of the snapshots, the rules and the clock, so that the table shown
// first and the removal that follows cannot differ.
//
// The periods are those of restic and Borg. Snapshots are taken from the newest to the oldest; the first one seen of
// each local hour, day, week, month or year is kept until the rule's count of periods is used up. Periods without a
// snapshot do not count, so a machine that was off for a month loses nothing.
//
// Restore points take no part in the periods. They hold only what a restore was about to overwrite; as the newest of
// a day one would stand in for the real snapshot, which would then be removed. They stay until they are confirmed,
// and after that as long as `keepWithin`, a tag or a pin keeps them.
//
// Each series is decided on by itself: one plan of one host, one set of sources, one class of writers. Backups of two
// paths do not compete, and a write-only key can push out nothing but its own.
//
// Times that cannot be right count for nothing: such snapshots stay, and the rules are applied to the others as if they
// were not there. One from 2090 would push out all true ones, and after a fall of the clock to 1973 the newest would be
// the first to go.
//
// Whatever the rules say, these stay: pinned snapshots, the newest verified one of each series, pre-change ones not
// verified, restore points not confirmed, at least one snapshot of each series, and all of a series when its newest looks
// suspicious (that alone can be overridden).

internal import Platform

package enum RetentionPolicy {
  /// The decisions for all candidates, from the oldest to the newest. Candidates of the same second keep their order,
  /// and the later one counts as newer. `nowSeconds` (UTC) ends pins and tells snapshots from the future, made while
  /// the clock was wrong: `keepWithin` does not count back from those. `force` removes although the newest snapshot
  /// looks suspicious.
  package static func decide<ID>(
    _ candidates: [RetentionCandidate<ID>],
    rules: RetentionRules,
    nowSeconds: Int64,
    force: Bool = false
  ) throws(RetentionError) -> [RetentionDecision<ID>] {
    try rules.validate()
    let order = candidates.indices.sorted {
      (candidates[$0].timeSeconds, $0) < (candidates[$1].timeSeconds, $1)
    }
    var decisions = order.map { RetentionDecision(candidate: candidates[$0], reasons: []) }
    let groups = Dictionary(grouping: decisions.indices) { decisions[$0].candidate.series }
    for members in groups.values {
      let group = RetentionGroup(
        candidates: members.map { decisions[$0].candidate },
        rules: rules,
        nowSeconds: nowSeconds,
        force: force
      )
      for (index, reasons) in zip(members, group.decide()) { decisions[index].reasons = reasons }
    }
    return decisions
  }

  /// Why those of `chosen` should stay, each with at least one reason: what no rule may remove. One more holds when all
  /// of `chosen` go together: of each series something must be left. A newest one that looks suspicious
  /// keeps the others, and can go itself.
  package static func protections<ID>(
    of chosen: Set<ID>,
    among candidates: [RetentionCandidate<ID>],
    nowSeconds: Int64
  ) -> [ID: [RetentionReason]] {
    var out: [ID: [RetentionReason]] = [:]
    let groups = Dictionary(grouping: candidates, by: \.series)
    for members in groups.values where members.contains(where: { chosen.contains($0.id) }) {
      let inOrder = members.enumerated()
        .sorted { ($0.element.timeSeconds, $0.offset) < ($1.element.timeSeconds, $1.offset) }.map(\.element)
      let group = RetentionGroup(
        candidates: inOrder,
        rules: RetentionRules(),
        nowSeconds: nowSeconds,
        force: false
      )
      for (member, reasons) in zip(inOrder, group.protections(of: chosen)) where chosen.contains(member.id) {
        if !reasons.isEmpty { out[member.id] = reasons }
      }
    }
    return out
  }
}

/// The snapshots of one series, oldest first, and never none.
private struct RetentionGroup<ID: Hashable & Sendable> {
  let candidates: [RetentionCandidate<ID>]
  let rules: RetentionRules
  let nowSeconds: Int64
  let force: Bool
  private var reasons: [[RetentionReason]]
  /// Indexes of the snapshots of the series proper, oldest first: without restore points, unless there is nothing else,
  /// and without those whose times cannot be right.
  private let regular: [Int]

  init(candidates: [RetentionCandidate<ID>], rules: RetentionRules, nowSeconds: Int64, force: Bool) {
    self.candidates = candidates
    self.rules = rules
    self.nowSeconds = nowSeconds
    self.force = force
    reasons = Array(repeating: [], count: candidates.count)
    let withoutRestorePoints = candidates.indices.filter { candidates[$0].kind != .restorePoint }
    let proper = withoutRestorePoints.isEmpty ? Array(candidates.indices) : withoutRestorePoints
    regular = proper.filter { !candidates[$0].hasDoubtfulTime }
  }

  /// The reasons for each of the candidates.
  consuming func decide() -> [[RetentionReason]] {
    for index in candidates.indices where candidates[index].hasDoubtfulTime { reasons[index].append(.doubtfulTime) }
    applyPeriods()
    applyWithin()
    applyTags()
    protectSingleSnapshots()
    protectGroup()
    return reasons
  }

  /// The reasons for each of the candidates to stay whatever the rules say, when those of `chosen` are to go.
  consuming func protections(of chosen: Set<ID>) -> [[RetentionReason]] {
    protectSingleSnapshots()
    if let index = regular.last(where: { candidates[$0].isVerified }) { reasons[index].append(.lastVerified) }
    guard let newest = regular.last else { return reasons }
    if regular.allSatisfy({ chosen.contains(candidates[$0].id) }) {
      reasons[newest].append(regular.count == 1 ? .onlySnapshot : .newestOfPlan)
    }
    if candidates[newest].isSuspicious {
      for index in candidates.indices where index != newest { reasons[index].append(.newestIsSuspicious) }
    }
    return reasons
  }

  private mutating func applyPeriods() {
    keep(rules.keepLast, .last) { index, _ in [Int64(index)] }
    keep(rules.keepHourly, .hourly) { [$1.date.daysSinceEpoch, $1.secondOfDay / 3600] }
    keep(rules.keepDaily, .daily) { [$1.date.daysSinceEpoch] }
    keep(rules.keepWeekly, .weekly) { [$1.date.isoWeek.year, $1.date.isoWeek.week] }
    keep(rules.keepMonthly, .monthly) { [$1.date.year, $1.date.month] }
    keep(rules.keepYearly, .yearly) { [$1.date.year] }
  }

  /// Keeps the newest snapshot of each of the last `count` periods. A set and not a comparison with the period before:
  /// someone who travels west may return to a local day that was over already.
  private mutating func keep(
    _ count: Int?,
    _ reason: RetentionReason,
    period: (_ index: Int, _ time: CivilTime) -> [Int64]
  ) {
    guard let count, count > 0 else { return }
    var seen: Set<[Int64]> = []
    for index in regular.reversed() {
      guard seen.count < count else { return }
      let time = CivilTime(
        secondsSinceEpoch: candidates[index].timeSeconds,
        utcOffsetSeconds: candidates[index].utcOffsetSeconds
      )
      if seen.insert(period(index, time)).inserted { reasons[index].append(reason) }
    }
  }

  private mutating func applyWithin() {
    guard let within = rules.keepWithin, !within.isZero else { return }
    var start = Int64.min
    // When all are from the future the clock cannot be trusted, and all are kept.
    if let newest = regular.last(where: { candidates[$0].timeSeconds <= nowSeconds }) {
      start = within.before(
        seconds: candidates[newest].timeSeconds,
        utcOffsetSeconds: candidates[newest].utcOffsetSeconds
      )
    }
    for index in candidates.indices where candidates[index].timeSeconds > start {
      reasons[index].append(.within(within))
    }
  }

  private mutating func applyTags() {
    let wanted = Set(rules.keepTags)
    guard !wanted.isEmpty else { return }
    for index in candidates.indices {
      for tag in candidates[index].tags where wanted.contains(tag) { reasons[index].append(.tag(tag)) }
    }
  }

  private mutating func protectSingleSnapshots() {
    for (index, candidate) in candidates.enumerated() {
      if candidate.isPinned {
        reasons[index].append(.pinned)
      } else if let end = candidate.pinnedUntilSeconds, end > nowSeconds {
        let day = CivilTime(secondsSinceEpoch: end, utcOffsetSeconds: candidate.utcOffsetSeconds).date
        reasons[index].append(.pinnedUntil(day.description))
      }
      if candidate.kind == .preChange, !candidate.isVerified { reasons[index].append(.preChangeNotVerified) }
      if candidate.kind == .restorePoint, !candidate.isConfirmed { reasons[index].append(.restorePointNotConfirmed) }
    }
  }

  private mutating func protectGroup() {
    if let index = regular.last(where: { candidates[$0].isVerified }) { reasons[index].append(.lastVerified) }
    guard let newest = regular.last else { return }
    if regular.count == 1 {
      reasons[newest].append(.onlySnapshot)
    } else if regular.allSatisfy({ reasons[$0].isEmpty }) {
      reasons[newest].append(.newestOfPlan)
    }
    if candidates[newest].isSuspicious, !force {
      for index in candidates.indices { reasons[index].append(.newestIsSuspicious) }
    }
  }
}
