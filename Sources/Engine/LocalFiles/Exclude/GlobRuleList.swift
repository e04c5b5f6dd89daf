/// The rules that need real pattern matching, in their order. Programs lie one behind the other in two pools, so that
/// walking them touches little memory and counts no references.
struct GlobRuleList: Sendable {
  private struct Rule: Sendable {
    var number: Int32
    var isDirectoryOnly: Bool
    var matchesBasename: Bool
    /// The first step when it is a plain byte, otherwise nil: most rules are dismissed by it.
    var firstByte: UInt8?
    var opStart: Int
    var opCount: Int
    var setStart: Int
  }

  private var rules: [Rule] = []
  private var ops: [GlobOp] = []
  private var sets: [ByteSet] = []

  /// Rules come in the order of their numbers.
  mutating func add(_ program: GlobProgram, line: ExcludeLine, rule: Int32) {
    rules.append(
      Rule(
        number: rule,
        isDirectoryOnly: line.isDirectoryOnly,
        matchesBasename: line.matchesBasename,
        firstByte: program.ops.first.flatMap { UInt8(exactly: $0) },
        opStart: ops.count,
        opCount: program.ops.count,
        setStart: sets.count
      )
    )
    ops.append(contentsOf: program.ops)
    sets.append(contentsOf: program.sets)
  }

  /// The number of the last rule that matches, or `best` when none with a higher number does. `path` is not empty
  /// and ends with `name`.
  func lastRule(
    path: UnsafeRawBufferPointer,
    name: UnsafeRawBufferPointer,
    isDirectory: Bool,
    after best: Int32
  ) -> Int32 {
    guard !name.isEmpty else { return best }
    return rules.withUnsafeBufferPointer { rules in
      ops.withUnsafeBufferPointer { ops in
        sets.withUnsafeBufferPointer { sets in
          var index = rules.count - 1
          while index >= 0, rules[index].number > best {
            let rule = rules[index]
            index -= 1
            if rule.isDirectoryOnly, !isDirectory { continue }
            let text = rule.matchesBasename ? name : path
            if let firstByte = rule.firstByte, firstByte != text[0] { continue }
            let matcher = GlobMatcher(
              ops: UnsafeBufferPointer(rebasing: ops[rule.opStart..<(rule.opStart + rule.opCount)]),
              sets: UnsafeBufferPointer(rebasing: sets[rule.setStart...])
            )
            if matcher.matches(text) { return rule.number }
          }
          return best
        }
      }
    }
  }
}
