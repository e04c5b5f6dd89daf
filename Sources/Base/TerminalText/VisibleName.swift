/// A file's name or path as a line of a terminal can show it, which may be cut between its characters.
package struct VisibleName: Sendable {
  /// What must not be cut apart: a character with the marks on it, or the escape of a byte.
  private struct Piece {
    var text: String
    var cells: Int
  }
  private var pieces: [Piece] = []
  private let ellipsis: String

  /// Bytes that are no UTF-8, control characters and whatever else is not seen, or turns the direction of the text
  /// round, come out as `\x` and two digits; so does all beyond ASCII where the terminal is not known to take UTF-8.
  package init(_ bytes: [UInt8], isUTF8: Bool) {
    ellipsis = isUTF8 ? "…" : "..."
    var rest = bytes[...]
    while let first = rest.first {
      let length = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
      let part = rest.prefix(length)
      if let text = String(validating: part, as: UTF8.self), let scalar = text.unicodeScalars.first,
        text.unicodeScalars.count == 1, scalar.isASCII || isUTF8, Self.isSeen(scalar)
      {
        add(text, CellWidth.of(scalar), isMark: Self.isMark(scalar))
        rest = rest.dropFirst(length)
      } else {
        let digits = String(first, radix: 16)
        add("\\x" + (digits.count < 2 ? "0" : "") + digits, 4, isMark: false)
        rest = rest.dropFirst()
      }
    }
  }

  private mutating func add(_ text: String, _ cells: Int, isMark: Bool) {
    if isMark, !pieces.isEmpty {
      pieces[pieces.count - 1].text += text
      pieces[pieces.count - 1].cells += cells
    } else {
      pieces.append(Piece(text: text, cells: cells))
    }
  }

  private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
    let category = scalar.properties.generalCategory
    return category == .nonspacingMark || category == .enclosingMark || category == .spacingMark || scalar == joiner
  }

  /// Joins pictures to one.
  private static let joiner: Unicode.Scalar = "\u{200D}"

  private static func isSeen(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
    case .format: scalar == joiner
    default: true
    }
  }

  package var cells: Int { pieces.reduce(0) { $0 + $1.cells } }
  package var text: String { pieces.map(\.text).joined() }

  /// The end of it, which says most, in at most `cells` cells; what is left out in front shows as an ellipsis.
  package func end(cells room: Int) -> String {
    if cells <= room { return text }
    var left = room - CellWidth.of(ellipsis)
    guard left >= 0 else { return "" }
    var kept: [String] = []
    for piece in pieces.reversed() {
      left -= piece.cells
      if left < 0 { break }
      kept.append(piece.text)
    }
    return ellipsis + kept.reversed().joined()
  }
}
