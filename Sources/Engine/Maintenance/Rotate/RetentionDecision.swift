package import RepositoryCore

/// What a snapshot was made for, as far as rotation cares.
package enum RetentionKind: Hashable, Sendable {
  case daily
  case manual
  /// Before a change of the system; kept until it is verified.
  case preChange
  /// What a restore is about to overwrite; kept until the restore is confirmed.
  case restorePoint
}

/// What rotation needs to know of a snapshot.
package struct RetentionCandidate<ID: Hashable & Sendable>: Sendable {
  package var id: ID
  /// Candidates of one series are decided on together.
  package var series: CatalogedSnapshot.Series
  package var kind: RetentionKind
  /// Since 1970-01-01 00:00 UTC.
  package var timeSeconds: Int64
  /// East is positive; what was in force when the snapshot was made.
  package var utcOffsetSeconds: Int32
  package var tags: [String]
  package var isVerified: Bool
  /// Pinned for ever.
  package var isPinned: Bool
  /// Pinned until then (UTC); nil for snapshots that are not.
  package var pinnedUntilSeconds: Int64?
  /// Only restore points have a meaning for this.
  package var isConfirmed: Bool
  /// Empty, or a fraction of the one before.
  package var isSuspicious: Bool
  /// Its time says nothing about its place among the others.
  package var hasDoubtfulTime: Bool

  package init(
    id: ID,
    series: CatalogedSnapshot.Series,
    kind: RetentionKind = .daily,
    timeSeconds: Int64,
    utcOffsetSeconds: Int32 = 0,
    tags: [String] = [],
    isVerified: Bool = false,
    isPinned: Bool = false,
    pinnedUntilSeconds: Int64? = nil,
    isConfirmed: Bool = false,
    isSuspicious: Bool = false,
    hasDoubtfulTime: Bool = false
  ) {
    self.id = id
    self.series = series
    self.kind = kind
    self.timeSeconds = timeSeconds
    self.utcOffsetSeconds = utcOffsetSeconds
    self.tags = tags
    self.isVerified = isVerified
    self.isPinned = isPinned
    self.pinnedUntilSeconds = pinnedUntilSeconds
    self.isConfirmed = isConfirmed
    self.isSuspicious = isSuspicious
    self.hasDoubtfulTime = hasDoubtfulTime
  }
}

/// Why a snapshot is kept. The description is what the table shows.
package enum RetentionReason: Hashable, Sendable, CustomStringConvertible {
  case last
  case hourly
  case daily
  case weekly
  case monthly
  case yearly
  case within(RetentionDuration)
  case tag(String)
  case pinned
  /// The day, as `2026-11-20`.
  case pinnedUntil(String)
  case preChangeNotVerified
  case restorePointNotConfirmed
  case lastVerified
  case onlySnapshot
  /// No other reason would leave anything of its plan.
  case newestOfPlan
  case newestIsSuspicious
  case doubtfulTime

  package var description: String {
    switch self {
    case .last: "last"
    case .hourly: "hourly"
    case .daily: "daily"
    case .weekly: "weekly"
    case .monthly: "monthly"
    case .yearly: "yearly"
    case .within(let duration): "within \(duration)"
    case .tag(let tag): "tag \(tag)"
    case .pinned: "pinned"
    case .pinnedUntil(let day): "pinned until \(day)"
    case .preChangeNotVerified: "pre-change, not verified yet"
    case .restorePointNotConfirmed: "restore point, not confirmed"
    case .lastVerified: "last verified of its plan"
    case .onlySnapshot: "only snapshot of its plan"
    case .newestOfPlan: "newest of its plan"
    case .newestIsSuspicious: "the newest snapshot looks suspicious"
    case .doubtfulTime: "its time cannot be right"
    }
  }
}

/// One line of the table.
package struct RetentionDecision<ID: Hashable & Sendable>: Sendable {
  package var candidate: RetentionCandidate<ID>
  /// In the order of the table's words; empty when the snapshot is to be removed.
  package var reasons: [RetentionReason]

  package var isKept: Bool { !reasons.isEmpty }
}
