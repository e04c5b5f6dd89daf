internal import LocalFiles
internal import Platform
internal import Reporting

/// Tells exclude patterns that can match nothing of what is backed up: mostly they were meant to begin somewhere else.
enum ExcludeReach {
  /// A remark on each pattern that names a path outside of all sources, or on the way to one.
  static func remarks(_ patterns: [[UInt8]], _ plan: SourcePlan) -> [PathProblem] {
    patterns.compactMap { remark($0, plan) }
  }

  private static func remark(_ text: [UInt8], _ plan: SourcePlan) -> PathProblem? {
    guard let line = ExcludeLine(text[...]), !line.isNegated, !line.matchesBasename else { return nil }
    let parts = line.pattern.split(separator: 0x2F)
    let literal = parts.prefix { part in !part.contains { Array("*?[\\".utf8).contains($0) } }
    let path = Array(literal.joined(separator: [0x2F]))
    let pattern = printable(text).dropFirst()
    switch plan.reach(path) {
    case .inside: return nil
    case .onTheWay:
      guard literal.count == parts.count else { return nil }
      return PathProblem(
        .remark, path, "the exclude pattern \"\(pattern)\" leaves out nothing: this only leads to what is backed up")
    case .outside:
      let advice = suggestion(text, plan).map { "; write \($0)" } ?? ""
      return PathProblem(
        .remark, path,
        "the exclude pattern \"\(pattern)\" begins here, outside of all that is backed up, and matches nothing\(advice)"
      )
    }
  }

  /// How to write a pattern that was taken to begin somewhere else than at the root.
  private static func suggestion(_ text: [UInt8], _ plan: SourcePlan) -> String? {
    let isAnchored = text.first == 0x2F
    let inside = Array(text.drop { $0 == 0x2F })
    let starts = isAnchored ? [] : [(try? System.resolve([0x2E])) ?? []]
    let sources = plan.summary()
    for start in starts + (sources.count == 1 ? sources : []) where start.first == 0x2F {
      let whole = Array(start.dropFirst()) + (start.count > 1 ? [0x2F] : []) + inside
      guard case .inside = plan.reach(whole) else { continue }
      let here = "\"\(printable(whole))\""
      return isAnchored
        ? "\(here) for what is in that source" : "\(here), or \"**/\(printable(inside).dropFirst())\" for any place"
    }
    return isAnchored ? nil : "\"**/\(printable(inside).dropFirst())\" for any place"
  }
}
