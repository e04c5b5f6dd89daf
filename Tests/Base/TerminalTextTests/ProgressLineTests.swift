import TerminalText
import Testing

@Suite struct ProgressLineTests {
  private func line(_ change: (inout ProgressLine) -> Void = { _ in }) -> ProgressLine {
    var line = ProgressLine()
    line.verb = "Backing up"
    line.entries = 12_345
    line.entriesTotal = 98_765
    line.bytes = 1 << 30
    line.bytesTotal = 5 << 30
    line.bytesPerSecond = 120 * 1024 * 1024
    line.seconds = 61
    line.share = 0.127
    line.secondsLeft = 192
    line.path = VisibleName(Array("/home/ada/Documents/2026/a long name of a report.odt".utf8), isUTF8: true)
    change(&line)
    return line
  }

  @Test func showsWhatMattersMostAtEachWidth() {
    let shown = line()
    #expect(shown.text(columns: 20) == "12 %, 3:12 left")
    #expect(shown.text(columns: 40) == "Backing up: 12 %, 3:12 left, 1 GiB")
    #expect(shown.text(columns: 80) == "Backing up: 12 %, 3:12 left, 12,345 entries, 1 GiB of 5 GiB, 120 MiB/s")
    #expect(
      shown.text(columns: 200)
        == "Backing up [##..................] 12 %, 3:12 left, 12,345 of 98,765 entries, 1 GiB of 5 GiB, 120 MiB/s  "
        + "/home/ada/Documents/2026/a long name of a report.odt")
  }

  @Test func doesWithoutATotal() {
    let shown = line {
      $0.share = nil
      $0.secondsLeft = nil
      $0.entriesTotal = nil
      $0.bytesTotal = nil
    }
    #expect(shown.text(columns: 20) == "Backing up: 1:01")
    #expect(shown.text(columns: 80).hasPrefix("Backing up: 12,345 entries, 1 GiB, 120 MiB/s, 1:01"))
  }

  @Test func saysEntriesWhereNoBytesMove() {
    let shown = line {
      $0.bytesPerSecond = 0
      $0.entriesPerSecond = 35_000
    }
    #expect(shown.text(columns: 90).contains("35,000 entries/s"))
  }

  /// Whatever the numbers and the width: the line fits, and each part of it is whole.
  @Test func nothingIsEverCut() throws {
    let part =
      #/(?:(?:Backing up(?::| \[[#.]{20}\]) )?|)(?:\d{1,2}\ %|[\d:]+(?:\ s|\ days)?(?:\ left)?|[\d,]+(?:\ of\ [\d,]+)?\ entries(?:\/s)?|[\d.]+\ (?:B|KiB|MiB|GiB|TiB)(?:\ of\ [\d.]+\ (?:B|KiB|MiB|GiB|TiB))?(?:\/s)?)/#
    let sizes: [UInt64] = [0, 9, 1023, 1 << 20, 1_234_567_890, .max]
    for size in sizes {
      for left in [0.2, 59.9, 61, 3600, 359_999, 1e12] {
        let shown = line {
          $0.entries = size
          $0.entriesTotal = size
          $0.bytes = size
          $0.bytesTotal = size
          $0.bytesPerSecond = Double(size)
          $0.secondsLeft = left
          $0.share = 0.9999
          $0.path = VisibleName([], isUTF8: true)
        }
        for columns in 1...220 {
          let text = shown.text(columns: columns)
          #expect(CellWidth.of(text) < max(1, columns))
          if text.isEmpty { continue }
          for piece in text.split(separator: ", ") {
            #expect(try part.wholeMatch(in: piece) != nil, "\(columns): \(text)")
          }
          #expect(!text.contains("100 %") && !text.contains(" 0 s left"))
        }
        #expect(shown.text(columns: 20).hasPrefix("99 %, "))
      }
    }
  }

  @Test func wideAndStrangePathsFit() {
    let names: [[UInt8]] = [
      Array("/漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字".utf8),
      Array("/\u{1B}[2J\u{9B}31m\u{202E}".utf8), [0x2F] + [UInt8](repeating: 0xFF, count: 99),
      Array("/e\u{301}\u{301}\u{301}😀👨\u{200D}👩".utf8),
    ]
    for name in names {
      for columns in 1...250 {
        let text = line { $0.path = VisibleName(name, isUTF8: true) }.text(columns: columns)
        #expect(CellWidth.of(text) < max(1, columns))
        #expect(!text.unicodeScalars.contains { $0.properties.generalCategory == .control })
      }
    }
  }
}
