// A snapshot of nothing but streams, which may be several.
import Platform
import Reporting
import RepositoryFormat
import SnapshotTree
import SnapshotWriting
import TestSupport
import Testing

@Suite struct StreamedFilesTests {
  private func file(_ name: String, _ text: String) throws -> StreamedFile {
    try StreamedFile(name: name, MemoryStream([.data(Array(text.utf8))]))
  }

  private func tree(_ reader: SnapshotReader) throws -> [String] {
    try reader.entries().map { path, entry in
      let name = String(decoding: path, as: UTF8.self)
      return entry.isDirectory
        ? name + "/" : name + "=" + String(decoding: try reader.content(of: entry), as: UTF8.self)
    }
  }

  @Test func severalStreamsLieInOneSnapshot() throws {
    let maker = try Maker()
    // In no order: a directory goes before what its name begins.
    let files = try [("shop/b.sql", "2"), ("z", "5"), ("shop-x", "4"), ("/shop/a/deep/1", "1"), ("shop/c", "3")].map {
      try file($0, $1)
    }
    let result = try maker.make(StreamedFiles(files))
    let reader = try maker.last()
    #expect(
      try tree(reader)
        == ["shop/", "shop/a/", "shop/a/deep/", "shop/a/deep/1=1", "shop/b.sql=2", "shop/c=3", "shop-x=4", "z=5"])
    #expect(result.record.sources.map { String(decoding: $0, as: UTF8.self) }.contains("/shop/a/deep/1"))
    #expect(result.record.sources.count == 5)
    for (_, entry) in try reader.entries() {
      #expect(entry.permissions == (entry.isDirectory ? 0o755 : 0o600))
      #expect(entry.isPartial == entry.isDirectory)
    }
    #expect(reader.root.entry.isPartial)
  }

  @Test func directoriesAboveMayBeKnown() throws {
    let maker = try Maker()
    var asked: [String] = []
    let source = try StreamedFiles([file("srv/dumps/shop.sql", "x")]) { path in
      asked.append(String(decoding: path, as: UTF8.self))
      guard path == Array("/srv".utf8) else { return nil }
      var known = entry("whatever", .directory(below: 0, listing: .zero))
      known.permissions = 0o1777
      return known
    }
    try maker.make(source)
    #expect(asked == ["/", "/srv", "/srv/dumps"])
    let found = try maker.last().entries()
    #expect(found.map { String(decoding: $0.path, as: UTF8.self) } == ["srv", "srv/dumps", "srv/dumps/shop.sql"])
    #expect(found.map(\.entry.permissions) == [0o1777, 0o755, 0o600])
  }

  @Test(arguments: [["a", "a"], ["a", "a/b"], ["x/y/z", "x/y"], ["a", "/a"]])
  func twoFilesCannotHaveOnePath(names: [String]) throws {
    #expect(errorCode { _ = try StreamedFiles(try names.map { try file($0, "1") }) } == .usage)
  }

  @Test(arguments: ["", "/", "a/", "..", "a/../b", "a\0b"]) func aNameThatNoFileHasIsRefused(name: String) {
    #expect(errorCode { _ = try file(name, "1") } == .usage)
  }

  @Test func oneEmptyStreamMakesNoSnapshot() throws {
    let store = MemoryStore()
    let maker = try Maker(in: store)
    let files = try [file("a", "1"), file("b", ""), file("c", "3")]
    var told = 0
    let message = errorMessage {
      try maker.make(StreamedFiles(files), listing: EntryListing(isComplete: true) { _ in told += 1 })
    }
    #expect(message.contains("Nothing came to be stored as /b"))
    #expect(told == 1)
    #expect(try maker.snapshots().isEmpty)
  }

  /// Pages that change make little new, and whoever reads one need not open much.
  @Test func aDatabaseIsCutAtFixedPlaces() throws {
    let maker = try Maker()
    var random = SystemRandomNumberGenerator()
    var bytes = (0..<1_100_000).map { _ in UInt8.random(in: 0...255, using: &random) }
    bytes.replaceSubrange(0..<16, with: Array("SQLite format 3\0".utf8))
    let page: UInt64 = 64 << 10
    func pieces(_ parts: [MemoryStream.Piece]) throws -> (data: [UInt64], isSame: Bool, new: UInt64) {
      let result = try maker.make(StreamedFiles([StreamedFile(name: "db", MemoryStream(parts))]))
      let reader = try maker.last()
      let entry = try #require(try reader.entries().first?.entry)
      guard case .file(_, let content) = entry.body, case .pieces(_, let pieces) = content else {
        Issue.record("the content is not in pieces")
        return ([], false, 0)
      }
      let isSame = try reader.content(of: entry).filter { $0 != 0 } == bytes.filter { $0 != 0 }
      return (pieces.filter { $0.chunk != nil }.map(\.length), isSame, result.record.counts.bytesNew)
    }
    let whole = try pieces([.data(bytes)])
    #expect(whole.data == [UInt64](repeating: page, count: 16) + [1_100_000 - 16 * page])
    #expect(whole.isSame)
    bytes[700_000] ^= 1
    let changed = try pieces([.data(bytes)])
    #expect(changed.isSame)
    #expect(changed.new < page + 4096)
    // Behind a hole the cuts are at the same places of the file.
    let half = Array(bytes[..<524_288])
    let rest = Array(bytes[(524_288 + 4096)...])
    bytes.replaceSubrange(524_288..<524_288 + 4096, with: [UInt8](repeating: 0, count: 4096))
    let sparse = try pieces([.data(half), .hole(4096), .data(rest)])
    #expect(sparse.isSame)
    #expect(sparse.data[8] == page - 4096)
    #expect(sparse.data[9] == page)
    #expect(sparse.new < page + 4096)
  }

  @Test func aLaterDumpIsComparedWithTheOneBefore() throws {
    let maker = try Maker()
    let text = String(repeating: "INSERT ", count: 100_000)
    try maker.make(StreamedFiles([file("a/b", text), file("a/c", "2")]))
    let result = try maker.make(StreamedFiles([file("a/b", text), file("a/d", "2")]))
    #expect(result.record.counts.deleted == 1 && result.record.counts.added == 1)
    #expect(result.record.counts.bytesNew < 1000)
    #expect(result.baseName != nil)
  }

  @Test func aRecordNamesOnlySoManyOfThem() throws {
    let files = try (0..<1001).map { try file("f\($0)", "1") }
    #expect(try StreamedFiles(files).names == [[0x2F]])
    #expect(try StreamedFiles(Array(files.prefix(1000))).names.count == 1000)
  }
}
