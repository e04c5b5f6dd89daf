internal import ArgumentParser
internal import Documents
internal import Glibc
internal import Platform
internal import Reporting
internal import TerminalText

/// Writing to the user: results to stdout, everything else to stderr.
enum Output {
  // Names stand in messages as somebody has written them: what would upset a terminal comes out escaped.
  static func line(_ text: String = "") { StandardOutput.write(Array((text.visible + "\n").utf8)) }
  static func note(_ text: String) { write(Array((text.visible + "\n").utf8), to: 2) }
  static func json(_ document: some Document) { StandardOutput.write(document.text() + [0x0A]) }
  static func json(_ documents: some Sequence<some Document>) {
    var json = JSONWriter(indented: true)
    json.array(documents)
    StandardOutput.write(json.text + [0x0A])
  }

  static func write(_ bytes: [UInt8], to number: CInt) {
    if number == 1 { return _ = StandardOutput.write(bytes) }
    // When it fails there is nobody to tell it to.
    _ = Screen.statusLine.withdrawn(for: number) { put(bytes, to: number) }
  }

  /// Writes as it is; what went wrong.
  static func put(_ bytes: [UInt8], to number: CInt) -> Errno? {
    var done = 0
    while done < bytes.count {
      let put = bytes.withUnsafeBytes { Glibc.write(number, $0.baseAddress.map { $0 + done }, bytes.count - done) }
      if put < 0 {
        if errno == EINTR { continue }
        return Errno.current
      }
      done += put
    }
    return nil
  }

  static func exit(with error: any Error, of command: any ParsableArguments.Type) -> Never {
    switch error {
    case let error as YesterError:
      note("yester: \(error)")
      Glibc.exit(error.code.rawValue)
    case is Stopped:
      note("yester: interrupted. What was stored so far is used by the next run.")
      Glibc.exit(YesterError.Code.interrupted.rawValue)
    case let error as Errno:
      note("yester: \(error).")
      Glibc.exit(1)
    case let error as FormatError:
      note("yester: \(error.message).")
      Glibc.exit(YesterError.Code.damaged.rawValue)
    default:
      CommandLineErrors.exit(with: error, of: command)
    }
  }

  static func size(_ bytes: UInt64) -> String { Amounts.size(bytes) }
  static func duration(_ seconds: Double) -> String { Amounts.duration(seconds) }
  static func count(_ value: UInt64) -> String { Amounts.count(value) }
  /// `1 file`, `1,234 files`. `many` is the plural where an "s" does not make it.
  static func count(_ value: UInt64, _ one: String, _ many: String? = nil) -> String { Amounts.count(value, one, many) }

  /// Columns as wide as they need to be; the first row is the head.
  static func table(_ rows: [[String]], right: Set<Int> = []) {
    for text in tableLines(rows, right: right) { line(text) }
  }

  /// The same as lines, without anything that would upset a terminal.
  static func tableLines(_ rows: [[String]], right: Set<Int> = []) -> [String] {
    let rows = rows.map { row in row.map { EntryText.text(Array($0.visible.utf8)) } }
    guard let columns = rows.map(\.count).max() else { return [] }
    let widths = (0..<columns).map { column in rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
      let cells = row.enumerated().map { column, text in
        let space = String(repeating: " ", count: widths[column] - text.count)
        if right.contains(column) { return space + text }
        return column == row.count - 1 ? text : text + space
      }
      return cells.joined(separator: "  ")
    }
  }
}
