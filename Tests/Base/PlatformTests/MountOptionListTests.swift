import Platform
import Testing

@Suite struct MountOptionListTests {
  @Test(arguments: [
    ("", []), (",,", []), ("a", ["a"]), ("a,b=c,,d", ["a", "b=c", "d"]), (#"a\,b,c"#, ["a,b", "c"]),
    (#"a\\,b"#, [#"a\"#, "b"]), (#"\a\b"#, ["ab"]), (#"a\"#, ["a"]), ("a,\u{301}b", ["a", "\u{301}b"]),
  ])
  func aListIsSplitAtCommasThatHaveNoBackslash(list: String, parts: [String]) {
    #expect(MountOptionList.split(list) == parts)
  }

  /// The last is a comma with a combining accent, which Swift takes for one character and libfuse for a comma.
  @Test(arguments: [
    "plain", "a,b", #"a\b"#, #",\,,\\"#, "naïve, Ελληνικά", "x,\u{301}y", String(path: [0x2C, 0xFF, 0x5C]),
  ])
  func anEscapedValueComesBackAsOneOption(value: String) {
    #expect(MountOptionList.split("first," + MountOptionList.escaped(value) + ",last") == ["first", value, "last"])
  }

  @Test func everyCommaOfAnEscapedValueHasABackslashBeforeIt() {
    #expect(Array(MountOptionList.escaped("x,\u{301}y").utf8).starts(with: Array(#"x\,"#.utf8)))
  }
}
