@testable import Maintenance
import RepositoryFormat
import Testing

/// Counts are what a writer says, be it one with a stolen write-only key: they may be any numbers.
@Suite struct WalkTotalTests {
  private func counts(_ number: UInt64) -> SnapshotCounts {
    var counts = SnapshotCounts()
    counts.entries = number
    counts.directories = 1
    counts.added = number
    counts.modified = number
    counts.bytes = number
    return counts
  }

  @Test(arguments: [(true, false), (false, true), (true, true), (false, false)])
  func hugeCountsEndNothing(isFirstHuge: Bool, isSecondHuge: Bool) {
    let (huge, small) = (counts(.max), counts(3))
    let second = isSecondHuge ? huge : small
    var total = WalkTotal([
      .init(counts: isFirstHuge ? huge : small, isBased: false), .init(counts: second, isBased: true),
      .init(counts: second, isBased: true), .init(counts: second, isBased: false),
    ])
    #expect(total.entries >= 12)
    total.didWalk(entries: 10)
    total.didWalk(entries: 1_000_000)
    #expect(total.entries >= 1_000_010)
    total.didWalk(entries: 0)
    total.didWalk(entries: 5)
    #expect(total.entries == 1_000_015)
  }
}
