import Platform
import Testing

@Suite struct CivilDateTests {
  @Test(
    arguments: [
      (0, 1970, 1, 1), (-1, 1969, 12, 31), (11_016, 2000, 2, 29), (11_017, 2000, 3, 1), (-25_509, 1900, 2, 28),
      (-25_508, 1900, 3, 1), (19_782, 2024, 2, 29), (20_777, 2026, 11, 20), (-719_468, 0, 3, 1),
    ] as [(Int64, Int64, Int64, Int64)]
  )
  func convertsBothWays(days: Int64, year: Int64, month: Int64, day: Int64) {
    let date = CivilDate(year: year, month: month, day: day)
    #expect(CivilDate(daysSinceEpoch: days) == date)
    #expect(date.daysSinceEpoch == days)
  }

  @Test func everyDayOfFourCenturiesFollowsTheOneBefore() {
    var expected = CivilDate(year: 1900, month: 1, day: 1)
    for days in expected.daysSinceEpoch..<(expected.daysSinceEpoch + 146_097) {
      let date = CivilDate(daysSinceEpoch: days)
      guard date == expected, date.daysSinceEpoch == days else {
        Issue.record("\(date) is not \(expected)")
        return
      }
      expected.day += 1
      if expected.day > CivilDate.daysInMonth(year: expected.year, month: expected.month) {
        expected.day = 1
        expected.month += 1
      }
      if expected.month > 12 { (expected.year, expected.month) = (expected.year + 1, 1) }
    }
  }

  @Test(
    arguments: [
      ("2020-12-31", 2020, 53), ("2021-01-01", 2020, 53), ("2021-01-03", 2020, 53), ("2021-01-04", 2021, 1),
      ("2024-12-29", 2024, 52), ("2024-12-30", 2025, 1), ("2027-01-01", 2026, 53), ("2005-01-02", 2004, 53),
      ("2008-12-28", 2008, 52), ("2010-01-03", 2009, 53),
    ] as [(String, Int64, Int64)]
  )
  func knowsTheWeeksOfISO(day: String, year: Int64, week: Int64) throws {
    let date = try Self.date(day)
    #expect(date.isoWeek == (year, week))
    #expect(date.description == day)
  }

  @Test func knowsTheDaysOfTheWeek() throws {
    #expect(try Self.date("2026-11-20").isoWeekday == 5)
    #expect(try Self.date("1969-12-28").isoWeekday == 7)
    #expect(try Self.date("1969-12-29").isoWeekday == 1)
  }

  @Test func timesBeforeTheEpochAndFarAwayStayInRange() {
    let evening = CivilTime(secondsSinceEpoch: -1, utcOffsetSeconds: 0)
    #expect(evening.date == CivilDate(year: 1969, month: 12, day: 31))
    #expect(evening.secondOfDay == 86_399)
    for seconds in [Int64.min, Int64.max] {
      #expect((0..<86_400).contains(CivilTime(secondsSinceEpoch: seconds, utcOffsetSeconds: .max).secondOfDay))
    }
  }

  private static func date(_ text: String) throws -> CivilDate {
    let numbers = text.split(separator: "-").compactMap { Int64($0) }
    try #require(numbers.count == 3)
    return CivilDate(year: numbers[0], month: numbers[1], day: numbers[2])
  }
}
