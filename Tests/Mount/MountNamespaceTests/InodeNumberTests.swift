// Numbers that a mount shows as st_ino: unique, the same at every mount, and short enough for a double.
import ChunkCodec
import RepositoryFormat
@testable import MountNamespace
import TestSupport
import Testing

@Suite struct InodeNumberTests {
  private func id(_ number: Int) -> ObjectID {
    ObjectID(nameOf: SHA256.hash(Array("snapshot \(number)".utf8)))
  }

  private func record(below: UInt64, groups: UInt64 = 100) -> SnapshotRecord {
    var record = SnapshotRecord(root: entry("", .directory(below: below, listing: .zero)))
    record.nextLinkGroup = groups
    return record
  }

  /// First and last number of each kind that a snapshot of so many entries shows.
  private func borders(_ range: InodeRange, _ below: UInt64, _ groups: UInt64) -> [UInt64] {
    let entries = ViewRole.allCases.flatMap { role in
      [0, below].map { range.inode($0, linkGroup: nil, role) }
    }
    let links = [ViewRole.snapshot, .day].flatMap { role in
      [EntryType.file, .symbolicLink, .blockDevice].flatMap { type in
        [0, groups - 1].map { range.inode(5, linkGroup: $0, role, type: type) }
      }
    }
    return entries + links
  }

  /// Snapshots so large that hundreds want numbers that others have: none get them.
  @Test func numbersAreUniqueAndShort() {
    let below = Limits.snapshotEntriesMax
    var allocator = InodeAllocator()
    var seen: Set<UInt64> = []
    var ranges: [ClosedRange<UInt64>] = []
    for number in 0..<10_000 {
      // Half of them are as large as can be.
      let size = number % 2 == 0 ? below : 100_000
      let all = borders(allocator.allocate(id(number), record(below: size)), size, 100)
      #expect(all.allSatisfy { $0 >= 1 << 40 && $0 < 1 << 53 })
      #expect(seen.isDisjoint(with: all) && Set(all).count == all.count)
      seen.formUnion(all)
      if let low = all.min(), let high = all.max() { ranges.append(low...high) }
    }
    ranges.sort { $0.lowerBound < $1.lowerBound }
    #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
  }

  /// New snapshots, and the removal of others, change nothing for those that are there.
  @Test func numbersStay() {
    func starts(_ numbers: [Int]) -> [Int: UInt64] {
      var allocator = InodeAllocator()
      var out: [Int: UInt64] = [:]
      for number in numbers { out[number] = allocator.allocate(id(number), record(below: 1_000_000)).start }
      return out
    }
    let all = starts(Array(0..<1000))
    let rotated = starts(Array(300..<1100))
    #expect((300..<1000).allSatisfy { all[$0] == rotated[$0] })
    #expect(starts(Array(0..<1000)) == all)
  }

  /// What a record says of itself is bounded, and what a tree says is checked against that.
  @Test func recordsMayClaimAnything() {
    var allocator = InodeAllocator()
    for number in 0..<5000 {
      let range = allocator.allocate(id(number), record(below: .max, groups: .max))
      for role in ViewRole.allCases {
        #expect(range.inode(.max, linkGroup: nil, role) < 1 << 53)
        #expect(range.inode(1, linkGroup: .max, role) < 1 << 53)
      }
    }
  }
}
