@testable import Maintenance
import Platform
import RepositoryCore
import Testing

/// From its ISO 8601 form.
private func date(_ text: String) throws -> CivilDate {
  let numbers = text.split(separator: "-").compactMap { Int64($0) }
  try #require(numbers.count == 3)
  return CivilDate(year: numbers[0], month: numbers[1], day: numbers[2])
}

@Suite struct RetentionDurationTests {
  @Test(arguments: [
    ("30d", RetentionDuration(days: 30), "30 days"),
    ("2y5m7d3h", RetentionDuration(years: 2, months: 5, days: 7, hours: 3), "2 years 5 months 7 days 3 hours"),
    ("1h1y", RetentionDuration(years: 1, hours: 1), "1 year 1 hour"),
    ("2w1d", RetentionDuration(days: 15), "15 days"),
    ("0d", RetentionDuration(), "0 days"),
    ("99999d", RetentionDuration(days: 99_999), "99999 days"),
  ])
  func reads(text: String, duration: RetentionDuration, words: String) throws {
    #expect(try RetentionDuration(parsing: text) == duration)
    #expect(duration.description == words)
  }

  @Test(
    arguments: [
      ("", .empty), ("30", .incomplete), ("d", .incomplete), ("1d2", .incomplete), ("1s", .unknownUnit("s")),
      ("-1d", .unknownUnit("-")), ("1 d", .unknownUnit(" ")), ("1d1d", .repeatedUnit("d")), ("100000d", .tooLarge),
      ("99999999999999999999y", .tooLarge), ("٣d", .unknownUnit("٣")),
    ] as [(String, RetentionDuration.ParseError)]
  )
  func refuses(text: String, error: RetentionDuration.ParseError) {
    #expect(throws: error) { try RetentionDuration(parsing: text) }
  }

  @Test func countsBackByTheCalendar() throws {
    func before(_ duration: String, _ day: String) throws -> String {
      let seconds = try date(day).daysSinceEpoch * 86_400
      let start = try RetentionDuration(parsing: duration).before(seconds: seconds, utcOffsetSeconds: 0)
      return CivilTime(secondsSinceEpoch: start, utcOffsetSeconds: 0).date.description
    }
    #expect(try before("1m", "2024-03-31") == "2024-02-29")
    #expect(try before("1m", "2023-03-31") == "2023-02-28")
    #expect(try before("1y", "2024-02-29") == "2023-02-28")
    #expect(try before("4y", "2024-02-29") == "2020-02-29")
    #expect(try before("1m", "2024-01-15") == "2023-12-15")
    #expect(try before("1d", "2024-03-01") == "2024-02-29")
    #expect(try before("1h", "2024-01-01") == "2023-12-31")
  }
}

@Suite struct RetentionPolicyTests {
  typealias Candidate = RetentionCandidate<Int>

  /// Long after every snapshot of these tests.
  static let now: Int64 = 4_000_000_000

  static func seconds(_ day: String, hour: Int64 = 12, minute: Int64 = 0) throws -> Int64 {
    try date(day).daysSinceEpoch * 86_400 + hour * 3600 + minute * 60
  }

  static func series(
    host: String = "h", plan: String = "p", sources: Set<String> = ["/s"], writer: WriterClass = .full
  ) -> CatalogedSnapshot.Series {
    CatalogedSnapshot.Series(host: host, plan: plan, sources: Set(sources.map { Array($0.utf8) }), writer: writer)
  }

  static func candidate(_ id: Int, _ day: String, hour: Int64 = 12, minute: Int64 = 0) throws -> Candidate {
    Candidate(id: id, series: Self.series(), timeSeconds: try seconds(day, hour: hour, minute: minute))
  }

  /// One snapshot at noon of each of that many days.
  static func days(_ count: Int, from day: String) throws -> [Candidate] {
    let start = try seconds(day)
    return (0..<count).map { Candidate(id: $0, series: Self.series(), timeSeconds: start + Int64($0) * 86_400) }
  }

  /// The reasons of what is kept, by id.
  static func kept(
    _ candidates: [Candidate],
    _ rules: RetentionRules,
    now: Int64 = Self.now,
    force: Bool = false
  ) throws -> [Int: [String]] {
    let decisions = try RetentionPolicy.decide(candidates, rules: rules, nowSeconds: now, force: force)
    #expect(decisions.count == candidates.count)
    return Dictionary(
      uniqueKeysWithValues: decisions.filter(\.isKept).map { ($0.candidate.id, $0.reasons.map(\.description)) }
    )
  }

  @Test func rulesThatRemoveEverythingAreRefused() throws {
    let some = try Self.days(3, from: "2026-01-01")
    func expect(_ error: RetentionError, _ rules: RetentionRules) {
      #expect(throws: error) { try RetentionPolicy.decide(some, rules: rules, nowSeconds: Self.now) }
    }
    expect(.noRules, RetentionRules())
    expect(.rulesKeepNothing, RetentionRules(keepLast: 0))
    expect(.rulesKeepNothing, RetentionRules(keepDaily: 0, keepYearly: 0, keepWithin: RetentionDuration()))
    expect(.negativeCount, RetentionRules(keepLast: 3, keepDaily: -1))
    #expect(try RetentionPolicy.decide([Candidate](), rules: .standard, nowSeconds: Self.now).isEmpty)
  }

  @Test func lastCountsSnapshots() throws {
    let kept = try Self.kept(Self.days(10, from: "2026-01-01").shuffled(), RetentionRules(keepLast: 2))
    #expect(kept == [8: ["last"], 9: ["last"]])
    #expect(try Self.kept(Self.days(10, from: "2026-01-01"), RetentionRules(keepLast: .max)).count == 10)
  }

  @Test func dailyKeepsTheNewestOfEachDayThatHasSnapshots() throws {
    let kept = try Self.kept(
      [
        Self.candidate(1, "2024-02-28", hour: 23), Self.candidate(2, "2024-02-29", hour: 0),
        Self.candidate(3, "2024-02-29", hour: 23), Self.candidate(4, "2024-03-01", hour: 0),
        Self.candidate(5, "2024-07-01", hour: 1), Self.candidate(6, "2024-07-01", hour: 2),
      ],
      RetentionRules(keepDaily: 3)
    )
    #expect(kept == [3: ["daily"], 4: ["daily"], 6: ["daily"]])
  }

  @Test func weeksCrossTheYear() throws {
    // 2020-12-28 (Monday) to 2021-01-03 is one week, number 53 of 2020.
    let days = try Self.days(14, from: "2020-12-25")
    let kept = try Self.kept(days, RetentionRules(keepWeekly: 3))
    #expect(kept == [2: ["weekly"], 9: ["weekly"], 13: ["weekly"]])
  }

  @Test func monthsAndYears() throws {
    let days = try Self.days(800, from: "2023-01-01")
    let kept = try Self.kept(days, RetentionRules(keepMonthly: 2, keepYearly: 10))
    // 2023-12-31 is day 364, 2024-12-31 day 730 (2024 has 366), 2025-02-28 day 789, 2025-03-10 day 799.
    #expect(kept == [364: ["yearly"], 730: ["yearly"], 789: ["monthly"], 799: ["monthly", "yearly"]])
  }

  @Test func theStandardRulesOfAYearOfDays() throws {
    let kept = try Self.kept(Self.days(730, from: "2025-01-01"), .standard)
    #expect(kept.values.filter { $0.contains("daily") }.count == 30)
    #expect(kept.values.filter { $0.contains("weekly") }.count == 8)
    #expect(kept.values.filter { $0.contains("monthly") }.count == 12)
    #expect(kept[729] == ["daily", "weekly", "monthly"])
  }

  @Test func anHourThatTheClockShowsTwiceIsOneHour() throws {
    // Berlin, 2026-10-25: 02:30 summer time, an hour later 02:30 winter time, then 03:30.
    var summer = try Self.candidate(1, "2026-10-25", hour: 0, minute: 30)
    summer.utcOffsetSeconds = 7200
    var winter = try Self.candidate(2, "2026-10-25", hour: 1, minute: 30)
    winter.utcOffsetSeconds = 3600
    var later = try Self.candidate(3, "2026-10-25", hour: 2, minute: 30)
    later.utcOffsetSeconds = 3600
    let kept = try Self.kept([summer, winter, later], RetentionRules(keepHourly: 3))
    #expect(kept == [2: ["hourly"], 3: ["hourly"]])
  }

  @Test func daysAreThoseOfTheOffsetInForce() throws {
    // 23:30 in summer time and 00:30 in winter time are 21:30 and 23:30 UTC: one UTC day, two local ones.
    var evening = try Self.candidate(1, "2026-10-24", hour: 21, minute: 30)
    evening.utcOffsetSeconds = 7200
    var night = try Self.candidate(2, "2026-10-24", hour: 23, minute: 30)
    night.utcOffsetSeconds = 3600
    #expect(try Self.kept([evening, night], RetentionRules(keepDaily: 5)).count == 2)
    night.utcOffsetSeconds = -18_000
    #expect(try Self.kept([evening, night], RetentionRules(keepDaily: 5)) == [2: ["daily"]])
  }

  @Test func aDayThatATravellerSeesTwiceIsOneDay() throws {
    var first = try Self.candidate(1, "2026-05-01", hour: 20)
    var second = try Self.candidate(2, "2026-05-01", hour: 21)
    var third = try Self.candidate(3, "2026-05-01", hour: 22)
    (first.utcOffsetSeconds, second.utcOffsetSeconds, third.utcOffsetSeconds) = (0, 36_000, 0)
    #expect(try Self.kept([first, second, third], RetentionRules(keepDaily: 9)) == [2: ["daily"], 3: ["daily"]])
  }

  @Test func ofOneSecondTheLaterInTheListIsNewer() throws {
    let same = try [7, 3, 5].map { try Self.candidate($0, "2026-01-01") }
    #expect(try Self.kept(same, RetentionRules(keepDaily: 4)) == [5: ["daily"]])
    #expect(try Self.kept(same, RetentionRules(keepLast: 2)) == [3: ["last"], 5: ["last"]])
    let decisions = try RetentionPolicy.decide(same, rules: .standard, nowSeconds: Self.now)
    #expect(decisions.map(\.candidate.id) == [7, 3, 5])
  }

  @Test func decisionsComeInTheOrderOfTime() throws {
    let shuffled = try Self.days(50, from: "2026-01-01").shuffled()
    let decisions = try RetentionPolicy.decide(shuffled, rules: .standard, nowSeconds: Self.now)
    #expect(decisions.map(\.candidate.id) == Array(0..<50))
  }

  @Test func withinCountsFromTheNewestThatIsNotFromTheFuture() throws {
    let days = try Self.days(40, from: "2026-01-01")
    let rules = RetentionRules(keepWithin: RetentionDuration(days: 30))
    let kept = try Self.kept(days, rules)
    #expect(kept.keys.sorted() == Array(10..<40))
    #expect(kept[10] == ["within 30 days"])

    let future = Candidate(id: 99, series: Self.series(), timeSeconds: Self.now + 1_000_000)
    #expect(try Self.kept(days + [future], rules).count == 31)
    #expect(try Self.kept(days, rules, now: 0).count == 40)
  }

  @Test func tagsKeep() throws {
    var days = try Self.days(4, from: "2026-01-01")
    days[0].tags = ["x", "year end"]
    days[1].tags = ["x"]
    let kept = try Self.kept(days, RetentionRules(keepLast: 1, keepTags: ["year end", "none"]))
    #expect(kept == [0: ["tag year end"], 3: ["last"]])
    // Nothing has the tag, and still the plan does not go.
    #expect(try Self.kept(days, RetentionRules(keepTags: ["none"])) == [3: ["newest of its plan"]])
  }

  @Test func protectedSnapshotsStay() throws {
    var days = try Self.days(8, from: "2026-01-01")
    days[0].isPinned = true
    days[1].pinnedUntilSeconds = try Self.seconds("2031-05-06")
    days[2].pinnedUntilSeconds = try Self.seconds("2026-02-01")
    days[3].kind = .preChange
    days[4].kind = .preChange
    days[4].isVerified = true
    days[5].isVerified = true
    days[6].kind = .manual
    let kept = try Self.kept(days, RetentionRules(keepLast: 1), now: Self.seconds("2027-01-01"))
    #expect(
      kept == [
        0: ["pinned"], 1: ["pinned until 2031-05-06"], 3: ["pre-change, not verified yet"],
        5: ["last verified of its plan"], 7: ["last"],
      ]
    )
  }

  @Test func restorePointsStayUntilConfirmedAndTakeNoOnesPlace() throws {
    var real = try Self.candidate(1, "2026-01-01", hour: 2)
    real.isVerified = true
    var open = try Self.candidate(2, "2026-01-01", hour: 10)
    open.kind = .restorePoint
    open.isSuspicious = true
    var confirmed = try Self.candidate(3, "2026-01-01", hour: 11)
    (confirmed.kind, confirmed.isConfirmed, confirmed.isVerified) = (.restorePoint, true, true)
    let older = try Self.candidate(0, "2025-12-31")
    let kept = try Self.kept([older, real, open, confirmed], RetentionRules(keepLast: 1, keepDaily: 1))
    #expect(kept == [1: ["last", "daily", "last verified of its plan"], 2: ["restore point, not confirmed"]])
  }

  @Test func groupsAreApart() throws {
    var all = try Self.days(6, from: "2026-01-01")
    all[0].series = Self.series(host: "other")
    all[1].series = Self.series(plan: "other")
    all[2].series = Self.series(plan: "other")
    all[1].isVerified = true
    let kept = try Self.kept(all, RetentionRules(keepLast: 1))
    #expect(
      kept == [
        0: ["last", "only snapshot of its plan"], 1: ["last verified of its plan"], 2: ["last"], 5: ["last"],
      ]
    )
  }

  @Test func aSuspiciousNewestSnapshotStopsRemovalInItsGroup() throws {
    var all = try Self.days(6, from: "2026-01-01")
    all[0].series = Self.series(plan: "other")
    all[1].series = Self.series(plan: "other")
    all[5].isSuspicious = true
    let rules = RetentionRules(keepLast: 1)
    let kept = try Self.kept(all, rules)
    #expect(kept.keys.sorted() == [1, 2, 3, 4, 5])
    #expect(kept[2] == ["the newest snapshot looks suspicious"])
    #expect(kept[5] == ["last", "the newest snapshot looks suspicious"])
    #expect(try Self.kept(all, rules, force: true).keys.sorted() == [1, 5])
    // Only the newest counts: later good snapshots show that the old one was no loss.
    all[4].isSuspicious = true
    all[5].isSuspicious = false
    #expect(try Self.kept(all, rules).keys.sorted() == [1, 5])
  }

  // MARK: Series

  /// One that holds each of several sources of a plan, and one by each writer.
  @Test func seriesDoNotPushEachOtherOut() throws {
    let one = Self.series(writer: .writeOnly([1]))
    let groups = [
      Self.series(), Self.series(sources: ["/t"]), Self.series(sources: ["/s", "/t"]), one,
      Self.series(writer: .writeOnly([2])),
    ]
    var all = try Self.days(10, from: "2026-01-01")
    for index in all.indices { all[index].series = groups[index % 5] }
    let kept = try Self.kept(all, RetentionRules(keepLast: 1))
    #expect(kept.keys.sorted() == [5, 6, 7, 8, 9])
    #expect(RetentionPolicy.protections(of: [3, 8], among: all, nowSeconds: Self.now)[8] == [.newestOfPlan])
    #expect(RetentionPolicy.protections(of: [2, 3, 4], among: all, nowSeconds: Self.now).isEmpty)
  }

  @Test func doubtfulTimesCountForNothing() throws {
    var all = try Self.days(6, from: "2026-01-01")
    all[0].timeSeconds = -1_000_000
    all[5].timeSeconds = Self.now * 2
    all[0].hasDoubtfulTime = true
    all[5].hasDoubtfulTime = true
    let doubtful = ["its time cannot be right"]
    #expect(try Self.kept(all, RetentionRules(keepLast: 1)) == [0: doubtful, 4: ["last"], 5: doubtful])
    #expect(try Self.kept(all, RetentionRules(keepDaily: 2)) == [0: doubtful, 3: ["daily"], 4: ["daily"], 5: doubtful])
    // They hold nothing up, and stand in for nothing.
    all[5].isSuspicious = true
    #expect(try Self.kept(all, RetentionRules(keepLast: 1)).count == 3)
    let protected = RetentionPolicy.protections(of: Set(0...5), among: all, nowSeconds: Self.now)
    #expect(protected == [4: [.newestOfPlan]])
    for index in all.indices { all[index].hasDoubtfulTime = true }
    #expect(try Self.kept(all, RetentionRules(keepLast: 1)).count == 6)
  }
}
