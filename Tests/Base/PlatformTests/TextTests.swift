import Platform
import Testing

@Suite struct HexTests {
  @Test func everyByteComesBack() {
    let bytes = (0...255).map { UInt8($0) }
    let text = Hex.encode(bytes)
    #expect(text.hasPrefix("000102030405060708090a0b0c0d0e0f10"))
    #expect(text.hasSuffix("fdfeff"))
    #expect(Hex.decode(text) == bytes)
    #expect(Hex.decode("") == [])
  }

  @Test(arguments: ["0", "abc", "AB", "0g", "g0", " 0", "0 ", "0x", "é", "--", "١٢", "a\u{301}b"])
  func onlyLowerCasePairsAreTaken(text: String) {
    #expect(Hex.decode(text) == nil)
  }
}

@Suite struct PathTextTests {
  /// U+10FF41 is what stands for the byte 0x41 where that is no character; a name may have it all the same.
  @Test(arguments: [
    Array("a/b ä€😀".utf8), [0xFF, 0x2F, 0xC3, 0xA4, 0xC3], [0xF4, 0x8F, 0xBD, 0x81],
    [0x78, 0xF4, 0x8F, 0xBD, 0x81, 0xFF],
    (0...255).map { UInt8($0) }, [],
  ])
  func everyNameComesBack(bytes: [UInt8]) {
    #expect(String(path: bytes).pathBytes == bytes)
  }

  @Test func messagesShowWhatIsNoText() {
    #expect(String(path: [0x61, 0xFF, 0x2F, 0x1B, 0x0A, 0x09]).visible == "a\\xff/\\x1b\n\t")
    #expect("ä\u{9b}€".visible == "ä\\x9b€" && "plain".visible == "plain")
  }
}

@Suite struct TimestampTests {
  private func text(_ seconds: Int64, offset: Int32 = 0) -> String {
    Timestamp(seconds: seconds).iso8601(offset: offset)
  }

  @Test func knownMoments() {
    #expect(text(0) == "1970-01-01T00:00:00Z")
    #expect(text(-1) == "1969-12-31T23:59:59Z")
    #expect(text(-86_400) == "1969-12-31T00:00:00Z")
    #expect(text(-86_401) == "1969-12-30T23:59:59Z")
    #expect(text(951_782_400) == "2000-02-29T00:00:00Z")
    #expect(text(4_107_542_400) == "2100-03-01T00:00:00Z")
    #expect(text(-62_135_596_800) == "0001-01-01T00:00:00Z")
    #expect(text(253_402_300_799) == "9999-12-31T23:59:59Z")
    #expect(text(253_402_300_800) == "10000-01-01T00:00:00Z")
    #expect(text(1_795_163_400, offset: 3600) == "2026-11-20T09:30:00+01:00")
    #expect(text(0, offset: -12_600) == "1969-12-31T20:30:00-03:30")
  }

  @Test func shortFormsName() {
    let fields = Timestamp(seconds: 1_795_163_400).fields(offset: 3600)
    #expect(fields.day8 == "20261120")
    #expect(fields.minute4 == "0930")
  }

  private static let extremes: [Int64] = [
    Int64.min, Int64.min + 86_398, Int64.min + 86_399, -67_768_100_567_755_200, 67_767_976_233_446_399,
    Int64.max - 86_400, Int64.max,
  ]

  /// Times come from records and files: whatever stands there must not end the program.
  @Test(arguments: extremes)
  func everyNumberOfSecondsHasFields(seconds: Int64) {
    for offset in [Int32.min, -86_400, -1, 0, 1, 86_400, .max] {
      let fields = Timestamp(seconds: seconds).fields(offset: offset)
      #expect((1...12).contains(fields.month) && (1...31).contains(fields.day))
      #expect((0..<24).contains(fields.hour) && (0..<60).contains(fields.minute) && (0..<60).contains(fields.second))
    }
    _ = Timestamp(seconds: seconds).localOffset
  }

  @Test func daysFollowEachOtherForFiveCenturies() {
    var last = TimeFields(civilSeconds: -8_000_000_000)
    for day in 1..<182_625 {
      let next = TimeFields(civilSeconds: -8_000_000_000 + Int64(day) * 86_400)
      let isNextDay = next.month == last.month && next.day == last.day + 1
      let isNextMonth = next.day == 1 && (28...31).contains(last.day) && next.month == last.month % 12 + 1
      guard isNextDay || isNextMonth, (next.hour, next.minute, next.second) == (last.hour, last.minute, last.second)
      else {
        Issue.record("\(next) does not follow \(last)")
        return
      }
      last = next
    }
  }

  @Test func orderLooksAtNanosecondsLast() {
    let a = Timestamp(seconds: -1, nanoseconds: 999_999_999)
    let b = Timestamp(seconds: 0)
    let c = Timestamp(seconds: 0, nanoseconds: 1)
    #expect(a < b && b < c && !(c < b) && !(b < a))
  }
}
