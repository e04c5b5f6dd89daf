/// Sizes and rates as people write them: `10M`, `2 GiB`, `1.5g`, `500k`, `10MB`.
///
/// K, M, G, T, P and E stand for powers of 1024, with or without `iB` behind; KB, MB and so on for powers of 1000, as
/// in the GNU programs. Capital and small letters mean the same.
package enum ByteSize {
  /// Why a text is no size: a sentence without its full stop.
  package struct Failure: Error, Equatable, CustomStringConvertible {
    package let description: String
  }

  private static let prefixes = "kmgtpe"
  private static let digitsMax = 18

  /// The bytes that `text` names, which must lie in `range`. A number without a unit counts in `unit` bytes. Parts of a
  /// byte are dropped.
  package static func parse(
    _ text: String, unit: UInt64 = 1, in range: ClosedRange<UInt64> = 0...UInt64.max
  ) throws(Failure) -> UInt64 {
    let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let rest = text[number.endIndex...].drop { $0 == " " }
    let parts = number.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    let fraction = parts.count > 1 ? parts[1] : ""
    guard let first = parts.first, !first.isEmpty, !fraction.contains("."), parts.count == 1 || !fraction.isEmpty,
      let factor = rest.isEmpty ? unit : factor(of: rest.lowercased())
    else {
      let isNegative = text.hasPrefix("-")
      throw Failure(
        description: (isNegative ? "a size is not negative" : "that is no size")
          + "; write a number and perhaps a unit, such as 500K, 10M or 1.5 GiB")
    }
    let outside = Failure(description: "it must be \(words(range.lowerBound)) to \(words(range.upperBound))")
    guard first.utf8.drop(while: { $0 == 0x30 }).count <= digitsMax, fraction.utf8.count <= digitsMax,
      let whole = UInt128(first), let part = UInt128(fraction.isEmpty ? "0" : fraction)
    else { throw outside }
    let scale = (0..<fraction.utf8.count).reduce(UInt128(1)) { power, _ in power * 10 }
    let bytes = whole * UInt128(factor) + part * UInt128(factor) / scale
    guard let bytes = UInt64(exactly: bytes), range.contains(bytes) else { throw outside }
    return bytes
  }

  /// Of a unit in small letters; nil when it is none.
  private static func factor(of unit: String) -> UInt64? {
    if unit == "b" { return 1 }
    guard let first = unit.first, let index = prefixes.firstIndex(of: first) else { return nil }
    let power = prefixes.distance(from: prefixes.startIndex, to: index) + 1
    switch unit.dropFirst() {
    case "", "i", "ib": return 1 << (10 * UInt64(power))
    case "b": return (0..<power).reduce(UInt64(1)) { value, _ in value * 1000 }
    default: return nil
    }
  }

  /// `1 KiB`, `16 EiB`: exact, but for the largest number that there is.
  private static func words(_ bytes: UInt64) -> String {
    if bytes == .max { return "16 EiB" }
    let power = bytes == 0 ? 0 : bytes.trailingZeroBitCount / 10
    guard power > 0, let prefix = prefixes.dropFirst(power - 1).first else { return "\(bytes) B" }
    return "\(bytes >> (10 * UInt64(power))) \(prefix.uppercased())iB"
  }
}
