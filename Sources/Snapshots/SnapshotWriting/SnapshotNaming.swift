package import Platform

/// Names of snapshots: the local time of their start, fixed for ever.
package enum SnapshotNaming {
  /// `20261120_0215`; with seconds when that is taken, then with a counter; a description behind an underscore.
  package static func choose(
    _ start: Timestamp, offset: Int32, summary: String, isTaken: (String) -> Bool
  ) -> String {
    let f = start.fields(offset: offset)
    let suffix = slug(summary).map { "_" + $0 } ?? ""
    let short = "\(f.day8)_\(f.minute4)"
    if !isTaken(short + suffix) { return short + suffix }
    let long = short + pad(f.second)
    if !isTaken(long + suffix) { return long + suffix }
    var counter = 2
    while isTaken("\(long)-\(counter)\(suffix)") { counter += 1 }
    return "\(long)-\(counter)\(suffix)"
  }

  /// The description as part of a file name; nil when nothing is left of it.
  static func slug(_ text: String) -> String? {
    var out = ""
    for scalar in text.unicodeScalars where out.utf8.count < 100 {
      let isKept =
        scalar.properties.isAlphabetic || scalar.properties.numericType != nil || "._-".unicodeScalars.contains(scalar)
      if isKept { out.unicodeScalars.append(scalar) } else if !out.isEmpty && out.last != "-" { out.append("-") }
    }
    while out.last == "-" { out.removeLast() }
    return out.isEmpty ? nil : out
  }
}
