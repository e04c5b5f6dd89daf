// Trees that only somebody with a key can have made: what once ended the driver, or kept it busy for ever.
import Reporting
import RepositoryFormat
import SnapshotTree
import TestSupport
import Testing

@Suite struct HostileTreeTests {
  private let chunks = Chunks()
  private var tree: TreeStore { TreeStore(reader: chunks) }
  private var content: FileContentReader {
    FileContentReader(tree: tree, keySet: KeySetID([UInt8](repeating: 0, count: KeySetID.size)))
  }

  /// The list is checked against every length that it is named with, not only the first.
  @Test(arguments: [UInt64(1 << 62), 10])
  func aListHasOneLength(length: UInt64) throws {
    let list = chunks.add(ContentList.pieces([ContentPiece(length: length, chunk: nil)]).encode())
    let lengths = [length, 100, 100, 100, 100]
    let lists = FileContent.lists(nil, lengths.map { ContentListReference(length: $0, list: list) })
    let size = length + 400
    let content = content
    #expect(throws: YesterError.self) { try content.dataSize(lists, size: size) }
    #expect(throws: YesterError.self) { try content.seek(lists, size: size, from: 0, toHole: false) }
    var buffer = [UInt8](repeating: 0xFF, count: 500)
    #expect(throws: YesterError.self) {
      try buffer.withUnsafeMutableBytes { try content.read(lists, size: size, at: length - 1, into: $0) }
    }
  }

  /// Seven levels of lists that each name the one below a hundred times.
  @Test(.timeLimit(.minutes(1))) func fewListsStandForManyPieces() throws {
    let data = ContentPiece(length: 1, chunk: .zero)
    let hole = ContentPiece(length: 1, chunk: nil)
    var length: UInt64 = 100
    var list = chunks.add(ContentList.pieces([ContentPiece](repeating: data, count: 100)).encode())
    for level in 1...6 {
      let references = [ContentListReference](repeating: ContentListReference(length: length, list: list), count: 100)
      list = chunks.add(ContentList.lists(level: level, references).encode())
      length *= 100
    }
    let same = ContentListReference(length: length, list: list)
    #expect(try content.dataSize(.lists(nil, [same, same]), size: 2 * length) == 2 * length)
    #expect(try content.seek(.lists(nil, [same, same]), size: 2 * length, from: 5, toHole: true) == 2 * length)
    // What comes behind them is found all the same. Lists of one file have one level.
    var end = chunks.add(ContentList.pieces([hole]).encode())
    for level in 1...6 {
      end = chunks.add(ContentList.lists(level: level, [ContentListReference(length: 1, list: end)]).encode())
    }
    let holed = FileContent.lists(nil, [same, same, ContentListReference(length: 1, list: end), same])
    let size = 3 * length + 1
    #expect(try content.dataSize(holed, size: size) == 3 * length)
    #expect(try content.seek(holed, size: size, from: 5, toHole: true) == 2 * length)
    #expect(try content.seek(holed, size: size, from: 2 * length, toHole: false) == 2 * length + 1)
    #expect(try content.seek(holed, size: size, from: size - 1, toHole: true) == size)
  }

  /// Entries would be left out, or given twice.
  @Test(arguments: [1, 3]) func aBranchMustNotLieAboutPositions(claimed: UInt64) throws {
    let first = leaf([entry("a", .directory(below: 1, listing: .zero)), entry("b", .fifo)])
    let branch = Branch(children: [
      Branch.Child(firstName: [0x61], count: claimed, total: 3, object: chunks.add(first)),
      Branch.Child(firstName: [0x63], count: 1, total: 1, object: chunks.add(leaf([entry("c", .fifo)]))),
    ])
    let listing = chunks.add(branch.encode())
    let tree = tree
    #expect(throws: YesterError.self) { try tree.forEach(in: listing, below: 4) { _ in true } }
  }
}

extension HostileTreeTests {
  /// A name that stands where no look-up goes would be listed and not be there.
  @Test(arguments: ["a", "c"]) func aListingIsSortedAsAWhole(name: String) throws {
    let below = { (name: String) in self.chunks.add(leaf([entry(name, .fifo)])) }
    let branch = Branch(children: [
      Branch.Child(firstName: Array("a".utf8), count: 1, total: 1, object: below("a")),
      Branch.Child(firstName: Array("c".utf8), count: 1, total: 1, object: below(name)),
    ])
    let listing = chunks.add(branch.encode())
    let tree = tree
    var names: [[UInt8]] = []
    let isRead =
      (try? tree.forEach(in: listing, below: 2) { listed in
        names.append(try listed.entry().name)
        return true
      }) != nil
    #expect(isRead == (name == "c"))
    #expect(names == (isRead ? [[0x61], [0x63]] : [[0x61]]))
  }
}
