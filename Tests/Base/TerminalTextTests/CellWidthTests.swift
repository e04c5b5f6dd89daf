import Glibc
import TerminalText
import Testing

@Suite struct CellWidthTests {
  @Test(arguments: [
    ("", 0), ("abc", 3), ("naïve", 5), ("e\u{301}", 1), ("漢字", 4), ("ｆｕｌｌ", 8), ("한글", 4), ("😀", 2), ("ש", 1),
    ("…", 1),
  ])
  func cellsOfText(_ text: String, _ cells: Int) { #expect(CellWidth.of(text) == cells) }

  /// The C library knows, in a locale that has all characters, what most terminals do.
  @Test func neverLessThanTheCLibrarySays() throws {
    let utf8 = try #require(newlocale(LC_CTYPE_MASK, "C.UTF-8", nil), "the locale C.UTF-8 is missing")
    let before = uselocale(utf8)
    defer {
      uselocale(before)
      freelocale(utf8)
    }
    // Glibc's module hides it.
    typealias Function = @convention(c) (wchar_t) -> CInt
    let wcwidth = unsafeBitCast(try #require(dlsym(nil, "wcwidth")), to: Function.self)
    #expect(wcwidth(0x6F22) == 2)
    var tooSmall: [String] = []
    var larger = 0
    var known = 0
    for value in UInt32(0x20)...0x10FFFF {
      guard let scalar = Unicode.Scalar(value) else { continue }
      let system = Int(wcwidth(wchar_t(value)))
      // Unprintable there, and escaped here.
      if system < 0 { continue }
      known += 1
      if scalar.properties.generalCategory == .format { continue }
      let own = CellWidth.of(scalar)
      if own < system { tooSmall.append(String(value, radix: 16)) }
      if own > system { larger += 1 }
    }
    #expect(tooSmall == [])
    #expect(known > 150_000)
    // Hangul that joins, pictures in plain form and the like.
    #expect(larger < 2_000)
  }
}

@Suite struct VisibleNameTests {
  private func visible(_ bytes: [UInt8], isUTF8: Bool = true) -> VisibleName { VisibleName(bytes, isUTF8: isUTF8) }

  @Test func showsWhatCanBeShown() {
    for text in ["/home/ada/report.odt", "/漢字/e\u{301}", "/👨\u{200D}👩\u{200D}👧", "/a b"] {
      #expect(visible(Array(text.utf8)).text == text)
    }
  }

  @Test func escapesWhatWouldUpsetATerminal() {
    #expect(visible(Array("/a\u{1B}[31m\n\r\t\u{7F}".utf8)).text == "/a\\x1b[31m\\x0a\\x0d\\x09\\x7f")
    #expect(visible(Array("/\u{9B}x".utf8)).text == "/\\xc2\\x9bx")
    #expect(visible(Array("/\u{202E}gpj".utf8)).text == "/\\xe2\\x80\\xaegpj")
    #expect(visible([0x2F, 0xFF, 0xC3, 0x28, 0xE6, 0xBC]).text == "/\\xff\\xc3(\\xe6\\xbc")
  }

  @Test func staysAsciiWhereNothingElseIsKnownToWork() {
    let name = visible(Array("/ä漢".utf8), isUTF8: false)
    #expect(name.text == "/\\xc3\\xa4\\xe6\\xbc\\xa2")
    #expect(name.end(cells: 10) == "...\\xa2")
  }

  @Test func isCutBetweenCharactersOnly() {
    let name = visible(Array("/ab漢字/e\u{301}x".utf8) + [0xFF])
    #expect(name.cells == 14)
    for room in 0...15 {
      let shown = name.end(cells: room)
      #expect(CellWidth.of(shown) <= room)
      #expect(room >= 14 || shown.isEmpty || shown.first == "…")
      #expect(!shown.hasPrefix("…\u{301}") && !shown.hasPrefix("…xff") && !shown.hasPrefix("…x\\") || room == 6)
    }
    #expect(name.end(cells: 4) == "…")
    #expect(name.end(cells: 5) == "…\\xff")
    #expect(name.end(cells: 6) == "…x\\xff")
    #expect(name.end(cells: 7) == "…e\u{301}x\\xff")
    #expect(name.end(cells: 9) == "…/e\u{301}x\\xff")
    #expect(name.end(cells: 10) == "…字/e\u{301}x\\xff")
  }
}
