internal import ArgumentParser
internal import Platform

/// A moment on the clock of this machine, as names of snapshots write it: `20261120`, `20261120_0930`, also `2026-11-20`
/// and `2026-11-20T09:30`.
struct MomentOption: ExpressibleByArgument {
  let time: Timestamp

  init?(argument: String) {
    let digits = argument.utf8.filter { (0x30...0x39).contains($0) }.map { Int64($0 - 0x30) }
    let isPlain = argument.utf8.allSatisfy { (0x30...0x39).contains($0) || "-_:T ".utf8.contains($0) }
    guard isPlain, [8, 12, 14].contains(digits.count) else { return nil }
    func number(_ range: Range<Int>) -> Int64 {
      range.upperBound <= digits.count ? digits[range].reduce(0) { $0 * 10 + $1 } : 0
    }
    let (year, month, day) = (number(0..<4), number(4..<6), number(6..<8))
    let (hour, minute, second) = (number(8..<10), number(10..<12), number(12..<14))
    guard year >= 1970, (1...12).contains(month), day >= 1, day <= CivilDate.daysInMonth(year: year, month: month),
      hour < 24, minute < 60, second < 60
    else { return nil }
    let days = CivilDate(year: year, month: month, day: day).daysSinceEpoch
    let local = days * 86_400 + hour * 3600 + minute * 60 + second
    // The offset at that time, looked for twice where the clock is put forward or back near it.
    let first = local - Int64(Timestamp(seconds: local).localOffset)
    time = Timestamp(seconds: local - Int64(Timestamp(seconds: first).localOffset))
  }
}
