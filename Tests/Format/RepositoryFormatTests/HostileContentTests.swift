// Contents of files whose parts do not fit (docs/format.md, section 9.3).
import Platform
import RepositoryFormat
import TestSupport
import Testing

@Suite struct HostileContentTests {
  private func read(_ list: ContentList, covering size: UInt64) throws -> ContentList {
    try ContentList(list.encode(), covering: size)
  }
  private func hole(_ length: UInt64) -> ContentPiece { ContentPiece(length: length, chunk: nil) }
  private func data(_ length: UInt64) -> ContentPiece { ContentPiece(length: length, chunk: .zero) }
  private func list(_ length: UInt64) -> ContentListReference { ContentListReference(length: length, list: .zero) }

  @Test func lengthsMustAddUpToTheSize() throws {
    #expect(throws: Never.self) { try read(.pieces([data(5), hole(7), data(1)]), covering: 13) }
    for size in [UInt64(0), 12, 14, .max] {
      #expect(throws: FormatError.self) { try read(.pieces([data(5), hole(7), data(1)]), covering: size) }
      #expect(throws: FormatError.self) { try read(.lists(level: 1, [list(5), list(8)]), covering: size) }
    }
    #expect(throws: Never.self) { try read(.lists(level: 1, [list(5), list(8)]), covering: 13) }
    #expect(throws: FormatError.self) { try read(.pieces([]), covering: 1) }
  }

  @Test func sumsBeyond64BitsDoNotComeBackSmall() {
    // Five times 2^62 is 2^62 modulo 2^64.
    let quarters = [UInt64](repeating: 1 << 62, count: 5)
    #expect(throws: FormatError.self) { try read(.pieces(quarters.map(hole)), covering: 1 << 62) }
    #expect(throws: FormatError.self) { try read(.lists(level: 1, quarters.map(list)), covering: 1 << 62) }
    #expect(throws: FormatError.self) { try read(.lists(level: 1, [list(.max), list(6)]), covering: 5) }
  }

  @Test func nothingIsEmptyOrLargerThanAChunk() throws {
    #expect(throws: FormatError.self) { try read(.pieces([data(0), data(5)]), covering: 5) }
    #expect(throws: FormatError.self) { try read(.pieces([hole(0), data(5)]), covering: 5) }
    #expect(throws: FormatError.self) { try read(.lists(level: 1, [list(0), list(5)]), covering: 5) }
    let most = UInt64(Limits.chunkSizeMax)
    #expect(throws: Never.self) { try read(.pieces([data(most)]), covering: most) }
    #expect(throws: FormatError.self) { try read(.pieces([data(most + 1)]), covering: most + 1) }
    #expect(throws: Never.self) { try read(.pieces([hole(most + 1)]), covering: most + 1) }
  }

  @Test func listsHaveLimitsOfDepthAndNumber() throws {
    #expect(throws: Never.self) { try read(.lists(level: Limits.levelsMax - 1, [list(1)]), covering: 1) }
    for level in [Limits.levelsMax, 255] {
      #expect(throws: FormatError.self) { try read(.lists(level: level, [list(1)]), covering: 1) }
    }
    for count in [UInt64.max, 1 << 63, 1 << 31, 1] {
      for level in [UInt8(0), 1] {
        var out = ByteWriter()
        out.raw([3, level])
        out.varint(count)
        #expect(throws: FormatError.self) { try ContentList(out.bytes, covering: 1) }
      }
    }
  }

  /// A hole is one byte where it is stored, and many times that where it is read.
  @Test func listsHaveNoMorePartsThanFitInMemory() throws {
    let most = Limits.contentPartsMax
    for count in [most, most + 1] {
      let isRight = count <= most
      let pieces = ContentList.pieces([ContentPiece](repeating: hole(1), count: count))
      let lists = ContentList.lists(level: 1, [ContentListReference](repeating: list(1), count: count))
      for parts in [pieces, lists] { #expect(((try? read(parts, covering: UInt64(count))) != nil) == isRight) }
    }
  }

  @Test func theFormsOfAnEntryKeepToItsSize() throws {
    func read(_ size: UInt64, _ content: FileContent) throws -> Entry {
      let entry = Entry(
        name: [97],
        permissions: 0,
        owner: Owner(user: 0, group: 0),
        modified: Timestamp(seconds: 0),
        changed: Timestamp(seconds: 0),
        born: nil,
        linkCount: 1,
        sourceInode: 1,
        body: .file(size: size, content: content)
      )
      return try Leaf(leaf([entry])).entry(0)
    }
    let most = UInt64(Limits.chunkSizeMax)
    #expect(try read(most, .single(.zero)).size == most)
    #expect(try read(Limits.fileSizeMax, .pieces(nil, [hole(Limits.fileSizeMax)])).size == Limits.fileSizeMax)
    #expect(throws: FormatError.self) { try read(1, .empty) }
    #expect(throws: FormatError.self) { try read(0, .single(.zero)) }
    #expect(throws: FormatError.self) { try read(most + 1, .single(.zero)) }
    #expect(throws: FormatError.self) { try read(6, .pieces(.zero, [data(5)])) }
    #expect(throws: FormatError.self) { try read(4, .lists(.zero, [list(5)])) }
    for size in [Limits.fileSizeMax + 1, UInt64.max] {
      #expect(throws: FormatError.self) { try read(size, .lists(nil, [list(size)])) }
    }
  }
}
