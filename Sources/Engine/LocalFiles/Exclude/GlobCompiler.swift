// Turns the wildcards of one pattern into a flat program that `GlobMatcher` runs. Compiling once takes escapes,
// brackets and the question what a `**` means out of the matching loop.

/// One step of a program. Values below 256 are that byte; the others are named here. Sixteen bits a step keep the
/// programs of a million patterns small.
typealias GlobOp = UInt16

extension GlobOp {
  /// `?`: one byte other than `/`.
  static let anyByte: GlobOp = 256
  /// `*`: any bytes other than `/`.
  static let star: GlobOp = 257
  /// `**/`: no directory, or any number of them. Stands only at the start of a component.
  static let directories: GlobOp = 258
  /// `**` at the end: everything that is left.
  static let everything: GlobOp = 259
  /// This and above: the bracket expression of that number, counted from the program's first.
  static let firstSet: GlobOp = 260
}

/// A compiled pattern, before it is put into the pools of `ExcludeRules`.
package struct GlobProgram: Equatable, Sendable {
  var ops: [GlobOp] = []
  var sets: [ByteSet] = []

  /// Whether it matches all of `text`.
  package func matches(_ text: UnsafeRawBufferPointer) -> Bool {
    ops.withUnsafeBufferPointer { ops in
      sets.withUnsafeBufferPointer { sets in GlobMatcher(ops: ops, sets: sets).matches(text) }
    }
  }

  /// The bytes that the program stands for when it has no wildcard (any more: escapes are resolved).
  var literal: [UInt8]? { Self.bytes(ops[...]) }

  /// For `*literal`: the literal.
  var suffix: [UInt8]? {
    guard ops.count > 1, ops[0] == .star else { return nil }
    return Self.bytes(ops[1...])
  }

  private static func bytes(_ ops: ArraySlice<GlobOp>) -> [UInt8]? {
    ops.allSatisfy { $0 < 256 } ? ops.map { UInt8(truncatingIfNeeded: $0) } : nil
  }
}

/// Reads a pattern from its first to its last byte.
package struct GlobCompiler {
  private let pattern: ArraySlice<UInt8>
  private let matchesBasename: Bool
  private var index: Int
  private var program = GlobProgram()

  /// Returns nil for a pattern that gitignore calls invalid and that matches nothing: one that ends in a backslash,
  /// has an open bracket, or names a class that POSIX does not have. `pattern` has at most
  /// `ExcludeRules.lineBytesMax` bytes, so the numbers of its brackets fit a `GlobOp`.
  package static func compile(_ pattern: ArraySlice<UInt8>, matchesBasename: Bool) -> GlobProgram? {
    precondition(pattern.count <= ExcludeRules.lineBytesMax)
    var compiler = GlobCompiler(
      pattern: pattern,
      matchesBasename: matchesBasename,
      index: pattern.startIndex
    )
    return compiler.run() ? compiler.program : nil
  }

  private init(pattern: ArraySlice<UInt8>, matchesBasename: Bool, index: Int) {
    self.pattern = pattern
    self.matchesBasename = matchesBasename
    self.index = index
  }

  private mutating func next() -> UInt8? {
    guard index < pattern.endIndex else { return nil }
    defer { index += 1 }
    return pattern[index]
  }

  private func peek(_ offset: Int = 0) -> UInt8? {
    index + offset < pattern.endIndex ? pattern[index + offset] : nil
  }

  private mutating func run() -> Bool {
    while let byte = next() {
      switch byte {
      case UInt8(ascii: "\\"):
        guard let escaped = next() else { return false }
        program.ops.append(GlobOp(escaped))
      case UInt8(ascii: "?"):
        program.ops.append(.anyByte)
      case UInt8(ascii: "*"):
        stars()
      case UInt8(ascii: "["):
        guard var set = bracket() else { return false }
        // A bracket never crosses from one component to the next, not even `[!a]`.
        set.remove(UInt8(ascii: "/"))
        program.ops.append(.firstSet + GlobOp(program.sets.count))
        program.sets.append(set)
      default:
        program.ops.append(GlobOp(byte))
      }
    }
    return true
  }

  /// One star has been read. Two or more that fill a whole component are special; all others are one star, as the
  /// manual says. (git 2.39 itself takes `a**/` for `a` and `**/`; here that would leave out more than was asked.)
  private mutating func stars() {
    let first = index - 1
    while peek() == UInt8(ascii: "*") { index += 1 }
    let startsComponent = first == pattern.startIndex || pattern[first - 1] == UInt8(ascii: "/")
    let isDouble = index - first > 1 && startsComponent && !matchesBasename
    if isDouble, peek() == nil {
      program.ops.append(.everything)
    } else if isDouble, peek() == UInt8(ascii: "/") {
      index += 1
      // Repeating it adds nothing.
      if program.ops.last != .directories { program.ops.append(.directories) }
    } else {
      program.ops.append(.star)
    }
  }

  /// The opening bracket has been read. The grammar is that of `fnmatch`: `]` is a member when it comes first, `-`
  /// when it is first, last or follows a range, and a backslash quotes.
  private mutating func bracket() -> ByteSet? {
    var set = ByteSet()
    let isNegated = peek() == UInt8(ascii: "!") || peek() == UInt8(ascii: "^")
    if isNegated { index += 1 }
    var rangeStart: UInt8?
    var isFirst = true
    while let byte = next() {
      if byte == UInt8(ascii: "]"), !isFirst {
        if isNegated { set.invert() }
        return set
      }
      isFirst = false
      if byte == UInt8(ascii: "-"), let low = rangeStart, let following = peek(), following != UInt8(ascii: "]") {
        guard let high = bracketMember() else { return nil }
        if low <= high { set.insert { $0 >= low && $0 <= high } }
        rangeStart = nil
      } else if byte == UInt8(ascii: "["), peek() == UInt8(ascii: ":"), let name = className() {
        guard set.insertClass(named: name) else { return nil }
        rangeStart = nil
      } else {
        index -= 1
        guard let member = bracketMember() else { return nil }
        set.insert(member)
        rangeStart = member
      }
    }
    return nil
  }

  private mutating func bracketMember() -> UInt8? {
    guard let byte = next() else { return nil }
    return byte == UInt8(ascii: "\\") ? next() : byte
  }

  /// At the colon of `[:name:]`. Without the closing `:]` the bracket is a member like any other, and nothing is read.
  private mutating func className() -> ArraySlice<UInt8>? {
    let start = index + 1
    guard let end = pattern[min(start, pattern.endIndex)...].firstIndex(of: UInt8(ascii: "]")),
      end > start, pattern[end - 1] == UInt8(ascii: ":")
    else { return nil }
    index = end + 1
    return pattern[start..<(end - 1)]
  }
}
