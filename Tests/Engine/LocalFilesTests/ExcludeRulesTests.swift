import LocalFiles
import Testing

/// Compared with `git check-ignore` by hand on random patterns; the table keeps what such a comparison found worth
/// knowing.
@Suite struct ExcludeRulesTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var patterns: [String]
    var path: String
    var isDirectory = false
    var isExcluded: Bool
    var testDescription: String { "\(patterns) \(path) \(isDirectory ? "directory" : "file")" }

    init(_ patterns: String..., excludes path: String, isDirectory: Bool = false) {
      (self.patterns, self.path, self.isDirectory, self.isExcluded) = (patterns, path, isDirectory, true)
    }

    init(_ patterns: String..., keeps path: String, isDirectory: Bool = false) {
      (self.patterns, self.path, self.isDirectory, self.isExcluded) = (patterns, path, isDirectory, false)
    }
  }

  static let lines = [
    Case("", "# comment", keeps: "# comment"),
    Case("#a", keeps: "#a"),
    Case("\\#a", excludes: "#a"),
    Case(#"\!a"#, excludes: "!a"),
    Case(" #a", excludes: " #a"),
    Case("a  ", excludes: "a"),
    Case("a  ", keeps: "a  "),
    Case(#"a\ "#, excludes: "a "),
    Case(#"a\  "#, excludes: "a "),
    Case("a\t", keeps: "a"),
    Case("a\t", excludes: "a\t"),
    Case("   ", keeps: "a"),
    Case("!", "/", "!/", "//", keeps: "a", isDirectory: true),
  ]

  static let order = [
    Case("*.o", "!keep.o", keeps: "x/keep.o"),
    Case("!keep.o", "*.o", excludes: "keep.o"),
    Case("*.o", "!keep.o", "keep.o", excludes: "keep.o"),
    Case("a*c", "!abc", keeps: "abc"),
    Case("/d/abc", "!a?c", keeps: "d/abc"),
    Case("a", "!a/", keeps: "a", isDirectory: true),
    Case("a", "!a/", excludes: "a"),
    Case("!a", "a/", excludes: "a", isDirectory: true),
  ]

  static let anchors = [
    Case("/home/*/cache", excludes: "home/max/cache"),
    Case("/home/*/cache", keeps: "srv/home/max/cache"),
    Case("/home/*/cache", keeps: "home/max/x/cache"),
    Case("home/x", excludes: "home/x"),
    Case("home/x", keeps: "a/home/x"),
    Case("/x", excludes: "x"),
    Case("/x", keeps: "a/x"),
    Case("x", excludes: "a/b/x"),
    Case("x/", excludes: "a/x", isDirectory: true),
    Case("x/", keeps: "a/x"),
    Case("a/x/", keeps: "b/a/x", isDirectory: true),
    Case("/*", "!/home", keeps: "home", isDirectory: true),
    Case("/*", "!/home", excludes: "var", isDirectory: true),
    Case("x", keeps: "x/y"),
  ]

  static let wildcards = [
    Case("*.o", excludes: "deep/down/a.o"),
    Case("*.o", excludes: ".o"),
    Case("*.o", keeps: "a.oo"),
    Case("*", excludes: "a"),
    Case("a*b*c", excludes: "aXbXbXc"),
    Case("a*b*c", keeps: "aXbXbX"),
    Case("a?c", excludes: "abc"),
    Case("/a?c", keeps: "a/c"),
    Case("/a*c", keeps: "a/c"),
    Case("a/*", keeps: "a/b/c"),
    Case("*/b", excludes: "a/b"),
    Case("*/b", keeps: "b"),
    Case(#"\*"#, excludes: "*"),
    Case(#"\*"#, keeps: "a"),
    Case(#"a\bc"#, excludes: "abc"),
  ]

  static let brackets = [
    Case("[a-c]x", excludes: "bx"),
    Case("[a-c]x", keeps: "dx"),
    Case("[!a]x", excludes: "bx"),
    Case("[!a]x", keeps: "ax"),
    Case("[^a]x", keeps: "ax"),
    Case("a[!b]c", "/a[!b]c", "/a[/]c", keeps: "a/c"),
    Case("[]a]", excludes: "]"),
    Case("[!]]", keeps: "]"),
    Case("[-a]", excludes: "-"),
    Case("[a-]", excludes: "-"),
    Case("[a-]", keeps: "b"),
    Case(#"[\]]"#, excludes: "]"),
    Case(#"[a\-c]"#, keeps: "b"),
    Case("[c-a]", keeps: "b"),
    Case("[a-c-e]", keeps: "d"),
    Case("[a-c-e]", excludes: "-"),
    Case("[[:alpha:]]", excludes: "Q"),
    Case("[[:alpha:][:digit:]]", excludes: "7"),
    Case("[![:space:]]", keeps: " "),
    Case("[[:xdigit:]]", keeps: "g"),
    Case("[[:punct:]]", excludes: "_"),
    Case("[[:a]", excludes: ":"),
    Case("[[:nonsense:]a]", keeps: "a"),
    Case("[a", keeps: "[a"),
    Case("[a", keeps: "a"),
  ]

  static let doubleStars = [
    Case("**/foo", excludes: "foo"),
    Case("**/foo", excludes: "a/b/foo"),
    Case("**/foo/bar", excludes: "a/foo/bar"),
    Case("**/foo/bar", excludes: "foo/bar"),
    Case("**/foo/bar", keeps: "foo/x/bar"),
    Case("**/foo/bar", keeps: "xfoo/bar"),
    Case("**/*.d/x", excludes: "a.d/b/c.d/x"),
    Case("abc/**", excludes: "abc/x/y"),
    Case("abc/**", keeps: "abc", isDirectory: true),
    Case("abc/**", keeps: "x/abc/y"),
    Case("a/**/b", excludes: "a/b"),
    Case("a/**/b", excludes: "a/x/y/b"),
    Case("a/**/b", keeps: "a/xb"),
    Case("a/**/b/**/c", excludes: "a/b/b/x/c"),
    Case("a/**/x*y/z", excludes: "a/xy/q/xqy/z"),
    Case("a/**/**/b", excludes: "a/b"),
    Case("a**/b", excludes: "axx/b"),
    Case("a**/b", keeps: "ax/y/b"),
    Case("a/**b", keeps: "a/x/b"),
    Case("a**b", excludes: "q/axxb"),
    Case("**", excludes: "a/b"),
    Case("/**", excludes: "a/b"),
    Case("**/", excludes: "a/b", isDirectory: true),
    Case("**/", keeps: "a/b"),
  ]

  @Test(arguments: lines + order + anchors + wildcards + brackets + doubleStars)
  func decides(_ item: Case) throws {
    let rules = try ExcludeRules(lines: item.patterns.map { Array($0.utf8) })
    #expect(rules.isExcluded(path: Array(item.path.utf8), isDirectory: item.isDirectory) == item.isExcluded)
  }

  @Test func namesNeedNotBeUTF8() throws {
    let rules = try ExcludeRules(lines: [[0xFF, 0x2A], Array("[".utf8) + [0x80, 0x2D, 0x8F] + Array("]".utf8)])
    #expect(rules.isExcluded(path: [0x61, 0x2F, 0xFF, 0xFE], isDirectory: false))
    #expect(rules.isExcluded(path: [0x85], isDirectory: false))
    #expect(!rules.isExcluded(path: [0x90], isDirectory: false))
  }

  @Test func slicesOfALargerBufferAreSeenAlone() throws {
    let rules = try ExcludeRules(lines: [Array("/a/*.o".utf8)])
    let buffer = Array("xxa/b.oyy".utf8)
    #expect(rules.isExcluded(path: buffer[2..<7], isDirectory: false))
  }

  @Test func theRootIsNeverExcluded() throws {
    let rules = try ExcludeRules(lines: [Array("*".utf8), Array("/**".utf8)])
    #expect(!rules.isExcluded(path: [], isDirectory: true))
    #expect(!ExcludeRules().isExcluded(path: Array("a".utf8), isDirectory: true))
  }

  @Test func readsFilesWithByteOrderMarkAndCarriageReturns() throws {
    let text = "#c\r\n*.o\r\n\r\n!b.o\n[x\nlast"
    let rules = try ExcludeRules.parse(fileContents: [0xEF, 0xBB, 0xBF] + Array(text.utf8))
    #expect(rules.count == 3)
    #expect(rules.malformedLines == [5])
    #expect(rules.isExcluded(path: Array("a.o".utf8), isDirectory: false))
    #expect(!rules.isExcluded(path: Array("b.o".utf8), isDirectory: false))
    #expect(rules.isExcluded(path: Array("last".utf8), isDirectory: false))
  }

  @Test func malformedPatternsAreNamed() throws {
    let rules = try ExcludeRules(lines: ["[a", "ok", #"a\"#, "[[:no:]]", #"a\/"#].map { Array($0.utf8) })
    #expect(rules.malformedLines == [1, 3, 4, 5])
    #expect(rules.count == 1)
  }

  @Test func refusesWhatIsTooLongOrBinary() {
    let longest = [UInt8](repeating: 0x61, count: ExcludeRules.lineBytesMax)
    #expect(throws: Never.self) { try ExcludeRules(lines: [longest]) }
    #expect(throws: ExcludePatternError.lineTooLong(line: 2)) { try ExcludeRules(lines: [[], longest + [0x61]]) }
    #expect(throws: ExcludePatternError.nulByte(line: 1)) {
      try ExcludeRules.parse(fileContents: [0x61, 0x00, 0x0A, 0x00])
    }
  }

  /// Each would take longer than the universe has, were every star tried at every place.
  @Test func hostilePatternsAreFast() throws {
    let name = [UInt8](repeating: 0x61, count: 255)
    let deep = Array(repeating: "a", count: 2000).joined(separator: "/")
    let patterns = [
      String(repeating: "a*", count: 100) + "b", String(repeating: "*a", count: 100) + "*b",
      "/" + String(repeating: "**/a/", count: 100) + "b", "**/" + String(repeating: "*a*/", count: 100) + "b",
    ]
    let rules = try ExcludeRules(lines: patterns.map { Array($0.utf8) })
    let elapsed = ContinuousClock().measure {
      #expect(!rules.isExcluded(path: name, isDirectory: false))
      #expect(!rules.isExcluded(path: Array(deep.utf8), isDirectory: false))
    }
    #expect(elapsed < .seconds(2))
  }

  @Test func manyRulesAreFoundByHash() throws {
    let rules = try ExcludeRules(lines: (0..<20_000).map { Array("/srv/data/name\($0)".utf8) })
    #expect(rules.isExcluded(path: Array("srv/data/name19999".utf8), isDirectory: false))
    #expect(!rules.isExcluded(path: Array("srv/data/name20000".utf8), isDirectory: false))
  }
}
