internal import Platform

/// Numbers as people read them.
package enum Amounts {
  /// `1.5 GiB`
  package static func size(_ bytes: UInt64) -> String {
    if bytes < 1024 { return "\(bytes) B" }
    var value = Double(bytes) / 1024
    for unit in ["KiB", "MiB", "GiB", "TiB"] {
      if value < 1024 || unit == "TiB" { return decimal(value) + " " + unit }
      value /= 1024
    }
    return "\(bytes) B"
  }

  /// Three digits that count.
  package static func decimal(_ value: Double) -> String {
    if value >= 100 { return String(Int(value.rounded())) }
    let scale: Double = value >= 10 ? 10 : 100
    let rounded = (value * scale).rounded() / scale
    return rounded == rounded.rounded() ? String(Int(rounded)) : String(rounded)
  }

  /// How long something took: `1:02:03`, `4:05` or `12 s`.
  package static func duration(_ seconds: Double) -> String {
    let whole = Int(seconds.rounded())
    if whole < 60 { return seconds < 10 ? decimal(seconds) + " s" : "\(whole) s" }
    return whole < 3600 ? "\(whole / 60):\(pad(whole % 60))" : hours(whole)
  }

  /// How long something may still take, in whole seconds and never none: `3 days`, `1:02:03`, `4:05` or `12 s`.
  package static func remaining(_ seconds: Double) -> String {
    let whole = Int(min(max(1, seconds.rounded(.up)), 1e9))
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60):\(pad(whole % 60))" }
    return whole < 100 * 3600 ? hours(whole) : "\(min(999, whole / 86400)) days"
  }

  private static func hours(_ whole: Int) -> String { "\(whole / 3600):\(pad(whole / 60 % 60)):\(pad(whole % 60))" }
  private static func pad(_ number: Int) -> String { number < 10 ? "0\(number)" : String(number) }

  /// `1,234,567`
  package static func count(_ value: UInt64) -> String {
    var out = ""
    for (index, digit) in String(value).reversed().enumerated() {
      if index > 0 && index.isMultiple(of: 3) { out.append(",") }
      out.append(digit)
    }
    return String(out.reversed())
  }

  /// `1 file`, `1,234 files`; `many` where that is not `one` with an s.
  package static func count(_ value: UInt64, _ one: String, _ many: String? = nil) -> String {
    "\(count(value)) \(value == 1 ? one : many ?? one + "s")"
  }
}
