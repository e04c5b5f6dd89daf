internal import CLinux
internal import Glibc

/// A moment: seconds since 1970-01-01 UTC (negative before) and nanoseconds, 0 to 999,999,999.
package struct Timestamp: Sendable, Hashable, Comparable {
  package let seconds: Int64
  package let nanoseconds: UInt32

  package init(seconds: Int64, nanoseconds: UInt32 = 0) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }

  package static func now() -> Timestamp {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Timestamp(seconds: Int64(now.tv_sec), nanoseconds: UInt32(now.tv_nsec))
  }

  /// So much earlier; the earliest moment there is when that is too early.
  package func earlier(byNanoseconds amount: UInt32) -> Timestamp {
    let borrow = nanoseconds < amount % 1_000_000_000
    let (whole, isTooEarly) = seconds.subtractingReportingOverflow(Int64(amount / 1_000_000_000) + (borrow ? 1 : 0))
    if isTooEarly { return Timestamp(seconds: .min) }
    return Timestamp(
      seconds: whole, nanoseconds: nanoseconds + (borrow ? 1_000_000_000 : 0) - amount % 1_000_000_000)
  }

  package static func < (a: Timestamp, b: Timestamp) -> Bool {
    (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds)
  }

  /// Seconds east of UTC that the machine's time zone has at this moment.
  package var localOffset: Int32 {
    var fields: [CInt] = Array(repeating: 0, count: 7)
    return yl_localtime(seconds, &fields) < 0 ? 0 : Int32(fields[6])
  }

  /// Year, month, … second on a clock that is `offset` seconds ahead of UTC.
  package func fields(offset: Int32) -> TimeFields {
    let (local, overflow) = seconds.addingReportingOverflow(Int64(offset))
    return TimeFields(civilSeconds: overflow ? seconds : local)
  }

  /// `2026-11-20T09:30:00+01:00`
  package func iso8601(offset: Int32) -> String {
    let f = fields(offset: offset)
    let minutes = abs(Int(offset)) / 60
    let zone = offset == 0 ? "Z" : "\(offset < 0 ? "-" : "+")\(pad(minutes / 60)):\(pad(minutes % 60))"
    return "\(pad(f.year, 4))-\(pad(f.month))-\(pad(f.day))T\(pad(f.hour)):\(pad(f.minute)):\(pad(f.second))\(zone)"
  }
}

/// Digits with zeros in front.
package func pad(_ value: Int, _ width: Int = 2) -> String {
  let digits = String(abs(value))
  return (value < 0 ? "-" : "") + String(repeating: "0", count: max(0, width - digits.count)) + digits
}

/// A date and time of day in the proleptic Gregorian calendar.
package struct TimeFields: Sendable, Equatable {
  package let year, month, day, hour, minute, second: Int

  /// From seconds since 1970. None overflow: times come from files and records.
  package init(civilSeconds: Int64) {
    let days = CivilDate.floorDivide(civilSeconds, 86_400)
    let date = CivilDate(daysSinceEpoch: days)
    (year, month, day) = (Int(date.year), Int(date.month), Int(date.day))
    // Not by way of the first second of the day, which may be too far away for a number.
    let second = Int(civilSeconds % 86_400)
    let secondOfDay = second < 0 ? second + 86_400 : second
    hour = secondOfDay / 3600
    minute = secondOfDay / 60 % 60
    self.second = secondOfDay % 60
  }

  /// `20261120`
  package var day8: String { pad(year, 4) + pad(month) + pad(day) }
  /// `0930`
  package var minute4: String { pad(hour) + pad(minute) }
}
