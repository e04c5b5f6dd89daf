// One line of a gitignore file, taken apart. Everything here is decided by position (first byte, last byte, is
// there a slash), before any wildcard is looked at; `man gitignore`, PATTERN FORMAT, is the specification, and git's
// behaviour decides where the manual is silent.

/// What a line says, apart from its wildcards.
package struct ExcludeLine {
  /// `!`: what the pattern matches is included again.
  package var isNegated = false
  /// A trailing `/`: the pattern speaks of directories only.
  package var isDirectoryOnly = false
  /// The pattern holds no slash and is compared with the last component of a path; otherwise with the whole path.
  package var matchesBasename = false
  /// The pattern without `!`, the leading `/` and the trailing `/`; escapes are still in it.
  package var pattern: ArraySlice<UInt8>

  /// Returns nil for blank lines and comments.
  package init?(_ line: ArraySlice<UInt8>) {
    guard line.first != UInt8(ascii: "#") else { return nil }
    pattern = Self.trimmingTrailingSpaces(line)
    if pattern.first == UInt8(ascii: "!") {
      isNegated = true
      pattern = pattern.dropFirst()
    }
    if pattern.last == UInt8(ascii: "/") {
      isDirectoryOnly = true
      pattern = pattern.dropLast()
    }
    guard !pattern.isEmpty else { return nil }
    matchesBasename = !pattern.contains(UInt8(ascii: "/"))
    if pattern.first == UInt8(ascii: "/") { pattern = pattern.dropFirst() }
    simplifyLeadingDoubleStars()
  }

  /// `**/name` says the same as `name`, and names are looked up in a hash table.
  private mutating func simplifyLeadingDoubleStars() {
    guard !matchesBasename, pattern.starts(with: Array("**/".utf8)) else { return }
    var rest = pattern
    while rest.starts(with: Array("**/".utf8)) { rest = rest.dropFirst(3) }
    guard !rest.isEmpty, !rest.contains(UInt8(ascii: "/")) else { return }
    pattern = rest
    matchesBasename = true
  }

  /// Drops trailing spaces (tabs stay) but for one that a backslash quotes.
  private static func trimmingTrailingSpaces(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var end = line.startIndex
    var index = line.startIndex
    while index < line.endIndex {
      if line[index] == UInt8(ascii: "\\") {
        // The escaped byte stays; a backslash at the very end makes the pattern malformed, which is found later.
        index = min(index + 2, line.endIndex)
        end = index
      } else {
        index += 1
        if line[index - 1] != UInt8(ascii: " ") { end = index }
      }
    }
    return line[..<end]
  }
}
