import Platform
import RepositoryFormat
@testable import SnapshotWriting
import TestSupport
import Testing

@Suite struct LinkTableTests {
  private func file(_ inode: UInt64, born: Int64? = 1, size: UInt64 = 10, modified: Int64 = 1) -> LinkedFile {
    LinkedFile(
      FileIdentity(device: 1, inode: inode), born: born.map { Timestamp(seconds: $0) }, size: size,
      modified: Timestamp(seconds: modified))
  }

  private func stored(inode: UInt64 = 7, names: UInt64 = 2, group: UInt64? = nil, size: UInt64 = 10) -> Entry {
    var stored = entry("read", .file(size: size, content: .single(.zero)))
    stored.sourceInode = inode
    stored.linkCount = names
    stored.linkGroup = group
    return stored
  }

  @Test func eachFileIsReadOnceAndAllItsNamesAreMet() throws {
    let links = LinkTable(nextGroup: 5)
    let claims = (0..<3).map { _ in links.claim(file(7)) }
    #expect(claims.map(\.isMine) == [true, false, false])
    links.finish(claims[0].reference, stored(names: 3))
    let met = zip(claims, ["a", "b", "c"]).map { links.meet($0.0.reference, name: Array($0.1.utf8), base: nil) }
    #expect(met.map { $0?.name } == [[0x61], [0x62], [0x63]])
    #expect(met.map { $0?.linkGroup } == [5, 5, 5])
    #expect(links.nextGroup == 6)
  }

  @Test func aNameMetBeforeTheFileWasReadWaitsForIt() throws {
    let links = LinkTable(nextGroup: 1)
    let first = links.claim(file(7))
    let second = links.claim(file(7))
    let isMet = Monitor(false)
    let worker = try Worker("test-read") {
      System.sleep(nanoseconds: 50_000_000)
      #expect(isMet.withLock { $0 } == false)
      links.finish(first.reference, stored())
    }
    #expect(links.meet(second.reference, name: [0x62], base: nil)?.name == [0x62])
    isMet.withLock { $0 = true }
    worker.join()
    #expect(links.meet(first.reference, name: [0x61], base: nil)?.linkGroup == 1)
  }

  @Test func aNameThatComesAfterAFailureTriesAgain() {
    let links = LinkTable(nextGroup: 1)
    let first = links.claim(file(7))
    let waiting = links.claim(file(7))
    links.finish(first.reference, nil)
    let later = links.claim(file(7))
    #expect(later.isMine)
    links.finish(later.reference, stored())
    #expect(links.meet(first.reference, name: [0x61], base: nil) == nil)
    #expect(links.meet(waiting.reference, name: [0x62], base: nil) == nil)
    #expect(links.meet(later.reference, name: [0x63], base: nil)?.name == [0x63])
  }

  @Test(arguments: [true, false]) func aNumberThatIsUsedAgainIsAnotherFile(knowsBirth: Bool) {
    let links = LinkTable(nextGroup: 1)
    let old = links.claim(file(7, born: knowsBirth ? 1 : nil, modified: 1))
    let new = links.claim(file(7, born: knowsBirth ? 2 : nil, modified: knowsBirth ? 1 : 2))
    #expect(old.isMine && new.isMine)
    links.finish(new.reference, stored(size: 2))
    links.finish(old.reference, stored(size: 1))
    // Whoever waits for the old one gets the old one.
    #expect(links.meet(old.reference, name: [0x61], base: nil)?.size == 1)
    #expect(links.meet(new.reference, name: [0x62], base: nil)?.size == 2)
    #expect(links.nextGroup == 3)
    let again = links.claim(file(7, born: knowsBirth ? 2 : nil, modified: knowsBirth ? 1 : 2))
    #expect(!again.isMine)
    #expect(links.meet(again.reference, name: [0x63], base: nil)?.linkGroup == 2)
  }

  @Test func aFileOfWhichTheBirthIsKnownMayChange() {
    let links = LinkTable(nextGroup: 1)
    let first = links.claim(file(7, born: 1, size: 10, modified: 1))
    #expect(!links.claim(file(7, born: 1, size: 20, modified: 2)).isMine)
    #expect(links.claim(file(8, born: 1)).isMine)
    links.finish(first.reference, stored())
  }

  @Test func whatIsKnownWithoutReadingIsOfferedOnce() {
    let links = LinkTable(nextGroup: 1)
    let first = links.offer(file(7), stored(size: 1))
    let second = links.offer(file(7), stored(size: 2))
    let claimed = links.claim(file(7))
    #expect(!claimed.isMine)
    for reference in [first, second, claimed.reference] {
      #expect(links.meet(reference, name: [0x61], base: nil)?.size == 1)
    }
  }

  @Test func aFileKeepsTheGroupOfItsBase() {
    let links = LinkTable(nextGroup: 10)
    let first = links.offer(file(7), stored())
    let second = links.offer(file(7), stored())
    #expect(links.meet(first, name: [0x61], base: stored(group: 4))?.linkGroup == 4)
    #expect(links.meet(second, name: [0x62], base: stored(group: 5))?.linkGroup == 4)
    // Another file at a path where a name of the first was does not get that one's group.
    let other = links.offer(file(8), stored(inode: 8))
    #expect(links.meet(other, name: [0x63], base: stored(inode: 7, group: 4))?.linkGroup == 10)
    // Nor does a second one whose number is the same.
    let third = links.offer(file(7, born: 3), stored())
    #expect(links.meet(third, name: [0x64], base: stored(group: 4))?.linkGroup == 11)
  }

  /// With all its names met, a file is forgotten: the memory does not grow with the links that a run has seen.
  @Test func aFileWhoseNamesWereAllMetIsForgotten() {
    let links = LinkTable(nextGroup: 1)
    for round in 0..<3 {
      let first = links.claim(file(7))
      #expect(first.isMine, "round \(round)")
      links.finish(first.reference, stored(names: 2))
      _ = links.meet(first.reference, name: [0x61], base: nil)
      let second = links.claim(file(7))
      #expect(!second.isMine)
      _ = links.meet(second.reference, name: [0x62], base: nil)
    }
  }

  @Test func readersOnManyThreadsShareTheWork() throws {
    let links = LinkTable(nextGroup: 1)
    let read = Monitor(0)
    let wrong = Monitor(0)
    try onThreads(4) { _ in
      for inode in 0..<200 as Range<UInt64> {
        let (reference, isMine) = links.claim(file(inode))
        if isMine {
          read.withLock { $0 += 1 }
          links.finish(reference, stored(inode: inode, names: 4))
        }
        if links.meet(reference, name: [0x61], base: nil)?.sourceInode != inode { wrong.withLock { $0 += 1 } }
      }
    }
    #expect(read.withLock { $0 } == 200)
    #expect(wrong.withLock { $0 } == 0)
    #expect(links.nextGroup == 201)
  }
}
