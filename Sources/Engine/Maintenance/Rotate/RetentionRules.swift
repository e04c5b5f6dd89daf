/// What `yester rotate` keeps. A rule that is nil is not asked for; a count of 0 keeps nothing, `Int.max` everything.
package struct RetentionRules: Hashable, Sendable {
  /// The newest snapshots, whenever they were made.
  package var keepLast: Int?
  /// The newest snapshot of each of that many hours, days, ... that have snapshots.
  package var keepHourly: Int?
  package var keepDaily: Int?
  /// Weeks of ISO 8601, from Monday.
  package var keepWeekly: Int?
  package var keepMonthly: Int?
  package var keepYearly: Int?
  /// Everything younger than this, counted back from the newest snapshot of the group.
  package var keepWithin: RetentionDuration?
  /// Everything that has one of these tags.
  package var keepTags: [String]

  package init(
    keepLast: Int? = nil,
    keepHourly: Int? = nil,
    keepDaily: Int? = nil,
    keepWeekly: Int? = nil,
    keepMonthly: Int? = nil,
    keepYearly: Int? = nil,
    keepWithin: RetentionDuration? = nil,
    keepTags: [String] = []
  ) {
    self.keepLast = keepLast
    self.keepHourly = keepHourly
    self.keepDaily = keepDaily
    self.keepWeekly = keepWeekly
    self.keepMonthly = keepMonthly
    self.keepYearly = keepYearly
    self.keepWithin = keepWithin
    self.keepTags = keepTags
  }

  /// What holds when the user gives no rule: daily for 30 days, weekly for 8 weeks, monthly for 12 months.
  package static let standard = RetentionRules(keepDaily: 30, keepWeekly: 8, keepMonthly: 12)

  /// Refuses rules that would remove everything, and counts that mean nothing.
  func validate() throws(RetentionError) {
    let counts = [keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly, keepYearly].compactMap { $0 }
    if counts.contains(where: { $0 < 0 }) { throw .negativeCount }
    if counts.isEmpty, keepWithin == nil, keepTags.isEmpty { throw .noRules }
    let keepsByTime = counts.contains { $0 > 0 } || !(keepWithin?.isZero ?? true)
    if !keepsByTime, keepTags.isEmpty { throw .rulesKeepNothing }
  }
}

package enum RetentionError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Not one rule was given.
  case noRules
  /// Every rule that was given is zero.
  case rulesKeepNothing
  case negativeCount

  package var description: String {
    switch self {
    case .noRules: "no rule was given"
    case .rulesKeepNothing: "every rule that was given keeps nothing"
    case .negativeCount: "a rule has a negative number"
    }
  }
}
