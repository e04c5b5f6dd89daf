import Platform
import RepositoryFormat
@testable import Restoring
import TestSupport
import Testing

/// What a destination could not take or keep is counted by kind, and each kind has one example.
@Suite struct RestoreAccountTests {
  private func entry(_ body: EntryBody) -> Entry { TestSupport.entry("x", body) }

  @Test func entriesWithoutAPlaceAreCountedByKindAndReason() {
    var unmade = UnmadeEntries()
    for (path, body, error) in [
      ("a", EntryBody.fifo, Errno.notPermitted), ("b", .fifo, .notPermitted), ("c", .fifo, .notSupported),
      ("d", .characterDevice(major: 1, minor: 3), .notPermitted),
      ("e", .blockDevice(major: 8, minor: 0), .notPermitted),
      ("f", .symbolicLink(target: [1]), .notPermitted),
    ] {
      let isCounted = unmade.count(entry(body), error, Array(path.utf8))
      #expect(isCounted, "\(path)")
    }
    #expect(unmade.all.map(\.kind) == [.symbolicLinks, .pipes, .pipes, .devices])
    #expect(unmade.all.map(\.count) == [1, 2, 1, 2])
    #expect(unmade.all.map(\.example) == ["f", "a", "c", "d"].map { Array($0.utf8) })
  }

  @Test func errorsThatDoNotSpeakOfKindsAreNotCounted() {
    var unmade = UnmadeEntries()
    let isFileCounted = unmade.count(entry(.file(size: 0, content: .empty)), .notPermitted, [1])
    let isFullDiskCounted = unmade.count(entry(.fifo), .noSpace, [1])
    let isTakenNameCounted = unmade.count(entry(.fifo), .exists, [1])
    #expect(!isFileCounted && !isFullDiskCounted && !isTakenNameCounted && unmade.all.isEmpty)
  }

  @Test(arguments: ["a.", "a ", "a:b", "a\u{1}", "a*", "é", String(repeating: "a", count: 256)])
  func namesThatForeignFileSystemsRefuseAreOdd(name: String) { #expect(UnmadeEntries.isOdd(Array(name.utf8))) }

  @Test(arguments: ["a", "a.b", ".a", "a b", String(repeating: "a", count: 255)])
  func plainNamesAreNotOdd(name: String) { #expect(!UnmadeEntries.isOdd(Array(name.utf8))) }

  @Test func aTimeThatWasNotKeptIsCountedWithItsDifference() throws {
    try withTemporaryDirectory { path in
      try writeFile(path + "/f", [])
      let name = Array((path + "/f").utf8)
      try FileSystem.setMode(name, at: nil, 0o755)
      let losses = RestoreLosses()
      for (seconds, nanoseconds) in [(Int64(3), UInt32(0)), (-5, 999_999_999), (1, 0)] {
        let time = Timestamp(seconds: 1 + seconds, nanoseconds: nanoseconds)
        try FileSystem.setTimes(name, at: nil, accessed: time, modified: time)
        losses.compare(entry(.file(size: 0, content: .empty)).owned(), try FileStatus(of: name), name, [:])
      }
      let times = losses.all.filter { $0.kind == .times }
      #expect(times.count == 1 && times[0].count == 3 && times[0].reason == nil)
      #expect(times[0].difference == 4_000_000_001)
    }
  }

  @Test func lossesComeInTheOrderOfKindsAndTheMostFrequentFirst() {
    let losses = RestoreLosses()
    losses.add(.hardLinks, [1], .notPermitted)
    losses.add(.owner, [2], .notPermitted)
    for _ in 0..<3 { losses.add(.owner, [3], .invalid) }
    #expect(losses.all.map(\.kind) == [.owner, .owner, .hardLinks])
    #expect(losses.all.map(\.count) == [3, 1, 1])
  }
}

extension Entry {
  /// As a file that this process makes.
  fileprivate func owned() -> Entry {
    TestEntry.file("x", "").with { $0.modified = modified }.with { $0.permissions = permissions }.entry
  }
}
