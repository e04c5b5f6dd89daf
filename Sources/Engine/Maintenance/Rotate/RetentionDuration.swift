internal import Platform

/// A length of time as people write it: `30d`, `2y5m7d3h`, `8w`. Years and months are those of the calendar.
package struct RetentionDuration: Hashable, Sendable {
  package var years: Int64
  package var months: Int64
  package var days: Int64
  package var hours: Int64

  /// No number may be larger.
  package static let numberMax: Int64 = 99_999

  package enum ParseError: Error, Equatable, Sendable {
    case empty
    /// A number without a unit, or a unit without a number.
    case incomplete
    case unknownUnit(Character)
    case repeatedUnit(Character)
    case tooLarge
  }

  package init(years: Int64 = 0, months: Int64 = 0, days: Int64 = 0, hours: Int64 = 0) {
    let limit = 0...(Self.numberMax * 8)
    precondition(limit.contains(years) && limit.contains(months) && limit.contains(days) && limit.contains(hours))
    (self.years, self.months, self.days, self.hours) = (years, months, days, hours)
  }

  /// Reads numbers with the units `y`, `m` (months), `w`, `d` and `h`, each at most once.
  package init(parsing text: String) throws(ParseError) {
    self.init()
    var number: Int64?
    var seen: Set<Character> = []
    for character in text {
      if character.isASCII, let digit = character.wholeNumberValue {
        let next = (number ?? 0) * 10 + Int64(digit)
        guard next <= Self.numberMax else { throw .tooLarge }
        number = next
        continue
      }
      guard "ymwdh".contains(character) else { throw .unknownUnit(character) }
      guard let amount = number else { throw .incomplete }
      guard seen.insert(character).inserted else { throw .repeatedUnit(character) }
      number = nil
      switch character {
      case "y": years = amount
      case "m": months = amount
      case "w": days += amount * 7
      case "d": days += amount
      default: hours = amount
      }
    }
    guard number == nil else { throw .incomplete }
    guard !seen.isEmpty else { throw .empty }
  }

  package var isZero: Bool { years == 0 && months == 0 && days == 0 && hours == 0 }

  /// The time that lies this far before `seconds` (UTC), with the calendar of the given offset: first the years and
  /// months, then the days and hours. The day of the month is kept where the month has it.
  func before(seconds: Int64, utcOffsetSeconds: Int32) -> Int64 {
    let time = CivilTime(secondsSinceEpoch: seconds, utcOffsetSeconds: utcOffsetSeconds)
    let date = time.date.subtracting(months: years * 12 + months)
    let localSeconds = (date.daysSinceEpoch - days) * 86_400 + time.secondOfDay - hours * 3600
    return localSeconds - Int64(utcOffsetSeconds)
  }
}

extension RetentionDuration: CustomStringConvertible {
  /// In words: `2 years 5 months 7 days 3 hours`.
  package var description: String {
    let parts = [(years, "year"), (months, "month"), (days, "day"), (hours, "hour")].filter { $0.0 != 0 }
    if parts.isEmpty { return "0 days" }
    return parts.map { "\($0.0) \($0.1)\($0.0 == 1 ? "" : "s")" }.joined(separator: " ")
  }
}
