// What a backup leaves out, in the syntax of gitignore (`man gitignore`), on bytes.
//
// The last rule that matches a path decides. Most rules of real lists are plain names, plain paths and `*.suffix`;
// these are found in hash tables, whatever their number. The rest are tried from the last to the first, and only
// those that come after the best rule found so far. A value is immutable once made and may be used by any number of
// threads.

/// A list of gitignore patterns, compiled.
package struct ExcludeRules: Sendable {
  /// The longest line, without its newline.
  package static let lineBytesMax = 4096
  package static let ruleCountMax = 1_000_000
  /// All lines together.
  package static let totalBytesMax = 64 << 20

  /// Lines (from 1) whose pattern is invalid and matches nothing, for a warning.
  package private(set) var malformedLines: [Int] = []
  /// The number of patterns, without blank lines, comments and malformed ones.
  package private(set) var count = 0

  /// By the number of the rule.
  private var negated: [Bool] = []
  private var names = LiteralRuleTable()
  private var paths = LiteralRuleTable()
  private var suffixes = LiteralRuleTable()
  /// The different lengths among `suffixes`, ascending.
  private var suffixCounts: [Int] = []
  /// What `suffixes` end in: most names are dismissed by their last byte.
  private var suffixEnds = ByteSet()
  private var globs = GlobRuleList()
  private var totalBytes = 0

  /// Rules that exclude nothing.
  package init() {}

  /// Compiles patterns, one a line and without the newline, as they would stand in a gitignore file: blank lines and
  /// comments are allowed, and later lines win over earlier ones.
  package init(lines: [[UInt8]]) throws(ExcludePatternError) {
    for (index, line) in lines.enumerated() { try add(line[...], number: index + 1) }
    finish()
  }

  /// Compiles the content of an exclude file. Lines end in LF or CR LF; a UTF-8 byte order mark is skipped.
  package static func parse(fileContents: [UInt8]) throws(ExcludePatternError) -> ExcludeRules {
    var rules = ExcludeRules()
    var rest = fileContents[...]
    if rest.starts(with: [0xEF, 0xBB, 0xBF]) { rest = rest.dropFirst(3) }
    var number = 1
    while !rest.isEmpty {
      let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex
      var line = rest[..<end]
      if line.last == UInt8(ascii: "\r") { line = line.dropLast() }
      try rules.add(line, number: number)
      rest = rest[min(end + 1, rest.endIndex)...]
      number += 1
    }
    rules.finish()
    return rules
  }

  /// Whether the rules leave out `path`, which is relative to the root of the patterns, without a slash at either
  /// end. The root itself (the empty path) is never left out.
  ///
  /// Ask from the top down and do not descend into what is excluded: that is what makes `cache/` leave out the files
  /// below, and what keeps a negated pattern from bringing back a file whose directory is excluded.
  package func isExcluded(path: [UInt8], isDirectory: Bool) -> Bool {
    path.withUnsafeBytes { isExcluded(path: $0, isDirectory: isDirectory) }
  }

  /// The same for a slice of a buffer that the walker reuses. Nothing is allocated.
  package func isExcluded(path: ArraySlice<UInt8>, isDirectory: Bool) -> Bool {
    path.withUnsafeBytes { isExcluded(path: $0, isDirectory: isDirectory) }
  }

  /// The same for bytes in memory. Nothing is allocated.
  package func isExcluded(path: UnsafeRawBufferPointer, isDirectory: Bool) -> Bool {
    guard count > 0, !path.isEmpty else { return false }
    let nameStart = path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
    let name = UnsafeRawBufferPointer(rebasing: path[nameStart...])

    var best = names.lastRule(for: name, isDirectory: isDirectory)
    best = max(best, paths.lastRule(for: path, isDirectory: isDirectory))
    best = max(best, lastSuffixRule(name: name, isDirectory: isDirectory))
    best = globs.lastRule(path: path, name: name, isDirectory: isDirectory, after: best)
    return best >= 0 && !negated[Int(best)]
  }

  private func lastSuffixRule(name: UnsafeRawBufferPointer, isDirectory: Bool) -> Int32 {
    guard let end = name.last, suffixEnds.contains(end) else { return -1 }
    var best: Int32 = -1
    for suffixCount in suffixCounts {
      guard suffixCount <= name.count else { break }
      let suffix = UnsafeRawBufferPointer(rebasing: name[(name.count - suffixCount)...])
      best = max(best, suffixes.lastRule(for: suffix, isDirectory: isDirectory))
    }
    return best
  }

  // MARK: Making

  private mutating func add(_ text: ArraySlice<UInt8>, number: Int) throws(ExcludePatternError) {
    guard text.count <= Self.lineBytesMax else { throw .lineTooLong(line: number) }
    guard !text.contains(0) else { throw .nulByte(line: number) }
    totalBytes += text.count
    guard totalBytes <= Self.totalBytesMax else { throw .tooManyBytes(line: number) }
    guard let line = ExcludeLine(text) else { return }
    guard count < Self.ruleCountMax else { throw .tooManyRules(line: number) }
    guard let program = GlobCompiler.compile(line.pattern, matchesBasename: line.matchesBasename) else {
      malformedLines.append(number)
      return
    }

    let rule = Int32(count)
    count += 1
    negated.append(line.isNegated)
    if let literal = program.literal {
      if line.matchesBasename {
        names.add(literal, rule: rule, isDirectoryOnly: line.isDirectoryOnly)
      } else {
        paths.add(literal, rule: rule, isDirectoryOnly: line.isDirectoryOnly)
      }
    } else if line.matchesBasename, let suffix = program.suffix {
      suffixes.add(suffix, rule: rule, isDirectoryOnly: line.isDirectoryOnly)
      suffixCounts.append(suffix.count)
      if let end = suffix.last { suffixEnds.insert(end) }
    } else {
      globs.add(program, line: line, rule: rule)
    }
  }

  private mutating func finish() {
    suffixCounts = Set(suffixCounts).sorted()
  }
}
