// Dates of the proleptic Gregorian calendar from day numbers and back, without a time zone database: a snapshot
// carries the UTC offset that was in force when it was made. All dates of all modules come from here.
//
// Algorithms: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"
// (https://howardhinnant.github.io/date_algorithms.html), `days_from_civil` and `civil_from_days`.

/// A day of the calendar.
package struct CivilDate: Hashable, Sendable {
  package var year: Int64
  /// 1...12
  package var month: Int64
  /// 1...31
  package var day: Int64

  package init(year: Int64, month: Int64, day: Int64) {
    (self.year, self.month, self.day) = (year, month, day)
  }

  /// `days` counts from 1970-01-01.
  package init(daysSinceEpoch days: Int64) {
    // Years begin in March, so that the leap day is their last; an era has 400 of them.
    let shifted = days + 719_468
    let era = Self.floorDivide(shifted, 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  }

  package var daysSinceEpoch: Int64 {
    let shiftedYear = month <= 2 ? year - 1 : year
    let era = Self.floorDivide(shiftedYear, 400)
    let yearOfEra = shiftedYear - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  /// 1 is Monday, 7 is Sunday (ISO 8601).
  package var isoWeekday: Int64 {
    // 1970-01-01 was a Thursday.
    let fromMonday = daysSinceEpoch + 3
    return fromMonday - Self.floorDivide(fromMonday, 7) * 7 + 1
  }

  /// The week of ISO 8601 and the year it belongs to: that of its Thursday. Weeks are 1...53.
  package var isoWeek: (year: Int64, week: Int64) {
    let thursday = CivilDate(daysSinceEpoch: daysSinceEpoch - isoWeekday + 4)
    let newYear = CivilDate(year: thursday.year, month: 1, day: 1)
    return (thursday.year, (thursday.daysSinceEpoch - newYear.daysSinceEpoch) / 7 + 1)
  }

  package static func daysInMonth(year: Int64, month: Int64) -> Int64 {
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    switch month {
    case 2: return isLeap ? 29 : 28
    case 4, 6, 9, 11: return 30
    default: return 31
    }
  }

  /// The same day that many months ago, or the last day of that month where it is shorter.
  package func subtracting(months: Int64) -> CivilDate {
    let monthsSinceZero = year * 12 + month - 1 - months
    let newYear = Self.floorDivide(monthsSinceZero, 12)
    let newMonth = monthsSinceZero - newYear * 12 + 1
    return CivilDate(year: newYear, month: newMonth, day: min(day, Self.daysInMonth(year: newYear, month: newMonth)))
  }

  /// Rounds down, below zero too.
  package static func floorDivide(_ dividend: Int64, _ divisor: Int64) -> Int64 {
    let quotient = dividend / divisor
    return dividend % divisor < 0 ? quotient - 1 : quotient
  }
}

extension CivilDate: CustomStringConvertible {
  /// As ISO 8601 writes it, `2026-11-20`.
  package var description: String {
    func padded(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(year)-\(padded(month))-\(padded(day))"
  }
}

/// What the clock on the wall showed.
package struct CivilTime {
  package var date: CivilDate
  /// 0...86399
  package var secondOfDay: Int64

  /// Beyond these seconds (some 34,000 years either way) a time is taken for the limit: records come from outside,
  /// and the arithmetic must not overflow.
  package static let secondsMax: Int64 = 1 << 40

  package init(secondsSinceEpoch: Int64, utcOffsetSeconds: Int32) {
    let local = min(max(secondsSinceEpoch, -Self.secondsMax), Self.secondsMax) + Int64(utcOffsetSeconds)
    let days = CivilDate.floorDivide(local, 86_400)
    date = CivilDate(daysSinceEpoch: days)
    secondOfDay = local - days * 86_400
  }
}
