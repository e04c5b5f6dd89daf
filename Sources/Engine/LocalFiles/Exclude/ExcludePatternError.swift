/// Why a list of exclude patterns was refused. Lines count from 1.
///
/// A pattern that is merely malformed (`[a`, `foo\`) is no error: gitignore says that it matches nothing.
/// `ExcludeRules.malformedLines` names those, so that the program can warn.
package enum ExcludePatternError: Error, Equatable, Sendable {
  /// The line is longer than `ExcludeRules.lineBytesMax`.
  case lineTooLong(line: Int)
  /// The line holds a NUL byte, which no path holds. Most often the file is UTF-16, and taking it as it is
  /// would silently exclude nothing.
  case nulByte(line: Int)
  /// There are more than `ExcludeRules.ruleCountMax` patterns.
  case tooManyRules(line: Int)
  /// The patterns together are longer than `ExcludeRules.totalBytesMax`.
  case tooManyBytes(line: Int)
}
