/// The line that shows how far a run is, made for a width. Pure.
///
/// It consists of parts that are shown as a whole or not at all, so that no number and no unit is ever cut. What is
/// less important goes first when there is not enough room; the path takes what is left over.
package struct ProgressLine: Sendable {
  /// What is being done: `Backing up`.
  package var verb = ""
  package var entries: UInt64 = 0
  package var entriesTotal: UInt64?
  package var bytes: UInt64 = 0
  package var bytesTotal: UInt64?
  package var bytesPerSecond = 0.0
  package var entriesPerSecond = 0.0
  /// Since the run began.
  package var seconds = 0.0
  /// 0 to 1; nil while the total is not known.
  package var share: Double?
  package var secondsLeft: Double?
  package var path = VisibleName([], isUTF8: true)

  package init() {}

  private static let barCells = 20
  private static let pathCellsMin = 20
  private static let gap = 2

  /// The line for a terminal of so many columns, of which the last one stays free: a full line makes some wrap.
  package func text(columns: Int) -> String {
    let room = max(0, columns - 1)
    var best = ""
    for parts in candidates() {
      let line = parts.joined()
      guard CellWidth.of(line) <= room else { continue }
      best = line
      break
    }
    let left = room - CellWidth.of(best) - Self.gap
    if left >= Self.pathCellsMin {
      let shown = path.end(cells: left)
      if !shown.isEmpty { best += String(repeating: " ", count: Self.gap) + shown }
    }
    return best
  }

  /// What could be shown, from all of it to the least.
  private func candidates() -> [[String]] {
    let percent = share.map { "\(min(99, Int($0 * 100))) %" }
    let time = secondsLeft.map { "\(Amounts.remaining($0)) left" }
    let elapsed = Amounts.remaining(seconds)
    let states = [percent, time].compactMap(\.self).joined(separator: ", ")
    let head = verb.isEmpty ? "" : "\(verb): "
    let counts = Self.some(entriesTotal).map { "\(Amounts.count(entries)) of \(Amounts.count($0)) entries" }
    let shortCounts = Self.some(entries).map { "\(Amounts.count($0)) entries" }
    let sizes = Self.some(bytesTotal).map { "\(Amounts.size(bytes)) of \(Amounts.size($0))" }
    let shortSizes = Self.some(bytes).map { Amounts.size($0) }
    func list(_ parts: String?...) -> String {
      parts.compactMap(\.self).filter { !$0.isEmpty }.joined(separator: ", ")
    }
    guard let share, let percent else {
      return [
        [head, list(shortCounts, shortSizes, rate, elapsed)],
        [head, list(shortCounts, shortSizes, elapsed)],
        [head, list(shortSizes, elapsed)],
        [head, elapsed],
        [list(shortSizes, elapsed)],
        [elapsed],
      ]
    }
    let filled = Int(min(1, share) * Double(Self.barCells))
    let bar =
      "[" + String(repeating: "#", count: filled) + String(repeating: ".", count: Self.barCells - filled) + "] "
    let barHead = verb.isEmpty ? bar : "\(verb) \(bar)"
    return [
      [barHead, list(states, counts, sizes, rate)],
      [head, list(states, counts, sizes, rate)],
      [head, list(states, shortCounts, sizes, rate)],
      [head, list(states, shortCounts, shortSizes, rate)],
      [head, list(states, shortSizes, rate)],
      [head, list(states, shortSizes)],
      [head, states],
      [states],
      [percent],
    ]
  }

  /// Nothing is not worth its room.
  private static func some(_ number: UInt64?) -> UInt64? { number == 0 ? nil : number }

  /// What moves: bytes, or entries where no bytes are worked on.
  private var rate: String {
    if bytesPerSecond >= 1 { return "\(Amounts.size(UInt64(min(bytesPerSecond, 1e18))))/s" }
    return entriesPerSecond >= 1 ? "\(Amounts.count(UInt64(min(entriesPerSecond, 1e18)))) entries/s" : ""
  }
}
