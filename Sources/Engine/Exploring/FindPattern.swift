internal import Platform
internal import LocalFiles
package import Reporting

/// What `find` looks for: a part of a name; or, with wildcards, a glob on whole names; or, with a slash, a glob on whole
/// paths. `*` and `?` match no slash, `**` stands for any number of directories (the syntax of exclude patterns). Time
/// is bounded by pattern × path.
package struct FindPattern: Sendable {
  /// What a pattern is compared with.
  package enum Scope: Sendable {
    /// It is to be somewhere in a name.
    case partOfName
    case wholeName
    case wholePath
  }

  package let scope: Scope
  /// What is to be in a name; for the scope `partOfName`.
  private let part: [UInt8]
  private let program: GlobProgram
  private let ignoresCase: Bool
  /// The first directories of a path, where the pattern names them without wildcards: others are not gone into.
  private let directories: [[UInt8]]

  /// Throws error 2 for a pattern that can match nothing.
  package init(_ text: String, ignoresCase: Bool = false) throws(YesterError) {
    guard !text.isEmpty else { throw YesterError(.usage, "The pattern is empty", advice: "Say what to look for.") }
    let given = Array((ignoresCase ? text.lowercased() : text).utf8)
    let hasWildcards = given.contains { Array("*?[\\".utf8).contains($0) }
    scope = given.contains(0x2F) ? .wholePath : hasWildcards ? .wholeName : .partOfName
    part = given
    self.ignoresCase = ignoresCase
    var pattern = given.drop { $0 == 0x2F }
    while pattern.last == 0x2F { pattern.removeLast() }
    guard !pattern.isEmpty, pattern.count <= ExcludeRules.lineBytesMax,
      let program = GlobCompiler.compile(pattern, matchesBasename: scope != .wholePath)
    else {
      throw YesterError(
        .usage,
        "The pattern \"\(text)\" can match nothing",
        advice: "Close its brackets, and write a backslash as \"\\\\\"."
      )
    }
    self.program = program
    let components = scope != .wholePath ? [] : pattern.split(separator: 0x2F).dropLast()
    directories = components.prefix { $0.allSatisfy { !Array("*?[\\".utf8).contains($0) } }.map { Array($0) }
  }

  /// Whether an entry matches. `path` ends in its name, which begins at `nameStart`.
  package func matches(_ path: [UInt8], nameStart: Int) -> Bool {
    let text = scope == .wholePath ? path : Array(path[nameStart...])
    let folded = ignoresCase ? Self.fold(text) : text
    if scope == .partOfName { return Self.contains(folded, part) }
    return folded.withUnsafeBytes { program.matches($0) }
  }

  /// Whether something below a directory can match. `depth` counts the directories above it, the root not.
  func mayMatch(below directory: UnsafeRawBufferPointer, depth: Int) -> Bool {
    guard depth < directories.count else { return true }
    return ignoresCase ? Self.fold(Array(directory)) == directories[depth] : directory.equals(directories[depth])
  }

  private static func contains(_ text: [UInt8], _ part: [UInt8]) -> Bool {
    guard part.count <= text.count else { return false }
    return (0...(text.count - part.count)).contains { text[$0...].starts(with: part) }
  }

  /// Lower case, where that is defined: for names in UTF-8, and for ASCII letters in others.
  private static func fold(_ bytes: [UInt8]) -> [UInt8] {
    if bytes.contains(where: { $0 >= 0x80 }) {
      let text = String(decoding: bytes, as: UTF8.self)
      if text.utf8.elementsEqual(bytes) { return Array(text.lowercased().utf8) }
    }
    return bytes.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
  }
}
