import Reporting
import Testing

@Suite struct RunProgressTests {
  @Test func numbersCountFromTheBeginningOfAPhase() {
    let progress = RunProgress()
    progress.setTotals(entries: 5, bytes: 500)
    progress.add(entries: 3, bytes: 100, skippedBytes: 20)
    var numbers = progress.numbers
    #expect((numbers.entries, numbers.bytes, numbers.skippedBytes) == (3, 100, 20))
    #expect((numbers.entriesTotal, numbers.bytesTotal) == (5, 500))
    #expect(numbers.phase == nil && numbers.phaseNumber == 0)
    progress.begin(.delete, entries: 7, bytes: nil)
    progress.add(entries: 1)
    progress.setPath([0x61])
    numbers = progress.numbers
    #expect((numbers.entries, numbers.bytes, numbers.skippedBytes) == (1, 0, 0))
    #expect((numbers.entriesTotal, numbers.bytesTotal) == (7, nil))
    #expect(numbers.phase == .delete && numbers.phaseNumber == 1 && numbers.path == [0x61])
  }

  @Test func pathsForPeopleUpsetNoTerminal() {
    #expect(printable(Array("home/ada".utf8)) == "/home/ada")
    #expect(printable(Array("漢字".utf8)) == "/漢字")
    #expect(printable(Array("a\u{1B}[31m".utf8)) == "/a\\x1b[31m")
    #expect(printable(Array("a\u{9B}31m".utf8)) == "/a\\xc2\\x9b31m")
    #expect(printable([0x61, 0xFF]) == "/a\\xff")
  }
}
