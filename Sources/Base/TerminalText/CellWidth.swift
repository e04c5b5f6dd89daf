/// How many cells of a terminal characters take.
///
/// The C library's `wcwidth` answers only for the characters of the process's locale, and programs that run from cron,
/// a service or a bare container have none beyond ASCII: it then gives -1 for every letter with an accent. So the answer
/// comes from properties of Unicode. Terminals differ in what is new or ambiguous. Where they do, this is an *upper
/// bound*: a line that is too short is no harm, one that is too long wraps and leaves remains.
package enum CellWidth {
  /// Wide and full-width characters (East Asian Width W and F of Unicode's annex 11), with what lies between them.
  private static let wideRanges: [ClosedRange<UInt32>] = [
    0x1100...0x115F, 0x2329...0x232A, 0x2630...0x2637, 0x268A...0x268F, 0x2E80...0x303E, 0x3041...0xA4CF,
    0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE10...0xFE1F, 0xFE30...0xFE6F, 0xFF00...0xFF60,
    0xFFE0...0xFFE6, 0x16FE0...0x18DFF, 0x1AFF0...0x1B2FF, 0x1D300...0x1D37F, 0x1F000...0x1FAFF, 0x20000...0x3FFFF,
  ]

  /// 0 to 2 cells.
  package static func of(_ scalar: Unicode.Scalar) -> Int {
    if scalar.value < 0x300 { return 1 }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark:
      // Asks for the colourful form of the character before it, which may take two cells where that takes one.
      return scalar.value == 0xFE0F ? 1 : 0
    case .format: return 0
    default: break
    }
    let isWide =
      wideRanges.contains { $0.contains(scalar.value) } || scalar.properties.isEmojiPresentation
    return isWide ? 2 : 1
  }

  package static func of(_ text: String) -> Int { text.unicodeScalars.reduce(0) { $0 + of($1) } }
}
