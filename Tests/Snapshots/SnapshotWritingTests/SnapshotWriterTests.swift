// Snapshots of sources that lie in memory: what goes in comes back, and what is not whole makes no snapshot.
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import SnapshotTree
@testable import SnapshotWriting
import TestSupport
import Testing

@Suite struct SnapshotWriterTests {
  private static let megabyte = 1 << 20

  private func bytes(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = SeededGenerator(seed: seed)
    return random.bytes(count)
  }

  /// Deep, wide, with hard links, holes, empty files and names that are not UTF-8.
  private func manyThings() -> MadeUpTree {
    var tree = MadeUpTree()
    for number in 0..<3000 { tree["wide/\(number)"] = .small(Array("content \(number % 100)".utf8)) }
    var deep: [UInt8] = Array("deep".utf8)
    for level in 0..<300 {
      deep += Array("/level \(level)".utf8)
      if level.isMultiple(of: 50) { tree.items[deep + Array("/!before".utf8)] = .small([UInt8(level & 0xFF), 1]) }
      if level.isMultiple(of: 50) { tree.items[deep + Array("/~behind".utf8)] = .small([UInt8(level & 0xFF), 2]) }
    }
    tree.items[deep] = .directory
    tree["large"] = .streamed([.data(bytes(5 * Self.megabyte + 7, seed: 1))])
    tree["sparse/middle"] = .streamed([.data([1, 2, 3]), .hole(3 << 20), .data(bytes(700_000, seed: 2)), .hole(5)])
    tree["sparse/only"] = .streamed([.hole(4096)])
    tree["sparse/front"] = .streamed([.hole(1), .data([9])])
    tree["empty/small"] = .small([])
    tree["empty/streamed"] = .streamed([])
    tree["empty/directory"] = .directory
    tree["empty/.hidden"] = .small([0])
    tree.items[[0xFF, 0xFE, 0x2F, 0x80]] = .small([1])
    tree.items[Array("é".utf8) + [0x0A]] = .special(.symbolicLink(target: [0xFF, 0x2F, 0x41]))
    tree["links/a"] = .streamed([.data(bytes(1000, seed: 3))])
    tree["links/b"] = .link(to: Array("links/a".utf8))
    tree["more/c"] = .link(to: Array("links/a".utf8))
    tree["more/d"] = .small(bytes(1000, seed: 3))
    tree["more/e"] = .link(to: Array("more/d".utf8))
    tree["special/fifo"] = .special(.fifo)
    tree["special/socket"] = .special(.socket)
    tree["special/disk"] = .special(.blockDevice(major: 8, minor: 1))
    tree["special/null"] = .special(.characterDevice(major: 1, minor: 3))
    // A slash goes before all other bytes: what is in "order" comes before "order-".
    tree["order/z"] = .small([1])
    tree["order-"] = .small([2])
    return tree
  }

  private func expectedContent(_ item: MadeUpTree.Item, _ tree: MadeUpTree) -> [UInt8] {
    switch item {
    case .directory, .special: []
    case .small(let bytes): bytes
    case .link(let other): tree.items[other].map { expectedContent($0, tree) } ?? []
    case .streamed(let pieces):
      pieces.flatMap { piece in
        switch piece {
        case .data(let bytes): bytes
        case .hole(let length): [UInt8](repeating: 0, count: Int(length))
        }
      }
    }
  }

  private func expect(_ reader: SnapshotReader, toBe tree: MadeUpTree) throws {
    let found = try reader.entries()
    #expect(found.map(\.path) == tree.paths)
    for (path, entry) in found {
      let item = tree.items[path] ?? .directory
      var original = path
      if case .link(let other) = item { original = other }
      var expected = tree.entry(original, entry.body, linkCount: tree.linkCounts[original] ?? 1)
      expected.name = tree.entry(path, .fifo).name
      expected.linkGroup = entry.linkGroup
      #expect(entry == expected, "\(printable(path))")
      #expect((entry.linkGroup != nil) == (entry.linkCount > 1))
      if case .special(let body) = item { #expect(entry.body == body) }
      #expect(entry.isDirectory == { if case .directory = item { true } else { false } }())
      #expect(try reader.content(of: entry) == expectedContent(item, tree), "\(printable(path))")
    }
  }

  @Test func whatASourceTellsOfIsReadBack() throws {
    let maker = try Maker()
    let tree = manyThings()
    let result = try maker.make(tree)
    let reader = try maker.last()
    try expect(reader, toBe: tree)
    #expect(result.id == reader.snapshot.id)
    #expect(result.problems == 0)
    #expect(reader.snapshot.record.sources == tree.names)
    #expect(reader.root.entry.below == UInt64(tree.paths.count))
    let counts = result.record.counts
    #expect(counts.entries == UInt64(tree.paths.count) + 1)
    #expect(counts.added == counts.entries)
    #expect(counts.directories + counts.files + counts.links + counts.others == counts.entries)
    // Holes are neither read nor stored.
    #expect(counts.bytesRead < 7 << 20)
    let groups = try reader.entries().compactMap { found in found.entry.linkGroup.map { (found.path, $0) } }
    let names = Dictionary(grouping: groups, by: \.1).values.map { $0.map { String(decoding: $0.0, as: UTF8.self) } }
    #expect(Set(names) == [["links/a", "links/b", "more/c"], ["more/d", "more/e"]])
  }

  @Test func aWideDirectoryHasSeveralLeaves() throws {
    let maker = try Maker()
    try maker.make(manyThings())
    let reader = try maker.last()
    let wide = try #require(try reader.node(at: Array("wide".utf8)))
    guard case .directory(_, let listing) = wide.entry.body else { return }
    #expect(try reader.tree.objects(of: listing).count > 2)
  }

  @Test func aHoleIsAHoleAndDataIsCut() throws {
    let maker = try Maker()
    try maker.make(manyThings())
    let reader = try maker.last()
    func body(_ path: String) throws -> EntryBody? { try reader.node(at: Array(path.utf8))?.entry.body }
    guard case .file(_, .pieces(.some, let pieces))? = try body("sparse/middle") else {
      Issue.record("a file with holes has pieces")
      return
    }
    #expect(pieces.first?.length == 3)
    #expect(pieces.filter { $0.chunk == nil }.map(\.length) == [3 << 20, 5])
    guard case .file(_, .pieces(_, let cut))? = try body("large") else {
      Issue.record("a large file is cut")
      return
    }
    #expect(cut.count > 2)
  }

  // MARK: What makes no snapshot

  private func directory(_ name: String) -> Entry { entry(name, .directory(below: 0, listing: .zero)) }

  private func expectNothing(_ maker: Maker, _ store: MemoryStore) throws {
    #expect(try maker.snapshots().isEmpty)
    #expect(!store.paths.contains { $0.hasPrefix("snapshots/") || $0.hasPrefix("leases/") })
    #expect(store.openUploads == 0)
  }

  @Test(arguments: [
    ["b", "a"], ["a", "a"], ["a/", "a"], ["a", "a/"], ["a-", "a"], [""], ["."], [".."], ["a/b"], ["\0"],
    [String(repeating: "x", count: 256)],
  ])
  func aNameThatCannotComeNextEndsTheRun(names: [String]) throws {
    let store = MemoryStore()
    let maker = try Maker(in: store)
    let source = PushedSource { writer in
      try writer.enter(directory(""))
      try writer.enter(directory("in"))
      for name in names {
        if name.hasSuffix("/"), name.count == 2 {
          try writer.enter(directory(String(name.dropLast())))
          try writer.leave()
        } else {
          try writer.add(entry(name, .fifo))
        }
      }
      try writer.leave()
      try writer.leave()
    }
    let message = errorMessage { try maker.make(source) }
    #expect(message.contains("/in/"))
    #expect(message.contains("No snapshot was made"))
    try expectNothing(maker, store)
  }

  @Test func aNameOfAHardLinkMustComeInOrderToo() throws {
    let maker = try Maker()
    let source = PushedSource { writer in
      try writer.enter(directory(""))
      var file = entry("b", try writer.store([1]))
      file.linkCount = 2
      try writer.add(Array("a".utf8), linkedTo: try writer.add(file))
    }
    #expect(errorCode { try maker.make(source) } == .failed)
    #expect(try maker.snapshots().isEmpty)
  }

  /// An archive may say anything of its members.
  @Test(
    arguments: [
      { $0.permissions = 0o10000 },
      { $0.modified = Timestamp(seconds: 1, nanoseconds: 1_000_000_000) },
      { $0.owner = Owner(user: 1, group: 1, userName: [UInt8](repeating: 0x61, count: 1025)) },
      { $0.attributes = [ExtendedAttribute(name: [], value: [])] },
      { $0.attributes = (0..<2).map { ExtendedAttribute(name: [0x61], value: [$0]) } },
      { $0.attributes = [ExtendedAttribute(name: [0x61], value: [UInt8](repeating: 0, count: 65_537))] },
      { $0.body = .symbolicLink(target: [0x61, 0]) },
      { $0.body = .symbolicLink(target: [UInt8](repeating: 0x61, count: Limits.targetSizeMax + 1)) },
      { $0.body = .file(size: 5, content: .empty) },
    ] as [@Sendable (inout Entry) -> Void])
  func whatCouldNotBeReadAgainIsNotStored(spoil: @escaping @Sendable (inout Entry) -> Void) throws {
    let maker = try Maker()
    let source = PushedSource { writer in
      try writer.enter(directory(""))
      var spoilt = entry("spoilt", .fifo)
      spoil(&spoilt)
      try writer.add(spoilt)
      try writer.leave()
    }
    #expect(errorMessage { try maker.make(source) }.contains("/spoilt cannot be stored"))
    #expect(try maker.snapshots().isEmpty)
  }

  /// Each directory has names of its own.
  @Test func whatComesBehindADirectoryIsComparedWithItsName() throws {
    let maker = try Maker()
    var tree = MadeUpTree()
    tree["b/z"] = .small([1])
    tree["c/a"] = .small([2])
    tree["d"] = .small([3])
    try maker.make(tree)
    try expect(maker.last(), toBe: tree)
  }

  private func stream(_ stream: MemoryStream) -> PushedSource {
    PushedSource { writer in
      try writer.enter(directory(""))
      try writer.add(entry("a", writer.store([1, 2, 3])))
      try writer.add(entry("b", writer.store(stream)))
      try writer.leave()
    }
  }

  @Test func aStreamThatFailsInTheMiddleMakesNoSnapshot() throws {
    let store = MemoryStore()
    let maker = try Maker(in: store)
    let broken = MemoryStream([.data(bytes(3 * Self.megabyte, seed: 4))], failure: cutOff)
    #expect(errorMessage { try maker.make(stream(broken)) } == "\(cutOff)")
    let asked = broken.state.withLock { $0 }
    #expect(asked.starts == 1 && asked.finishes == 0 && asked.cancels == 1)
    try expectNothing(maker, store)
  }

  @Test func aStreamThatEndsTooEarlyMakesNoSnapshot() throws {
    let store = MemoryStore()
    let maker = try Maker(in: store)
    let short = MemoryStream([.data([1])], missing: cutOff)
    #expect(errorMessage { try maker.make(stream(short)) } == "\(cutOff)")
    #expect(short.state.withLock { $0.finishes } == 1)
    #expect(short.state.withLock { $0.cancels } == 1)
    try expectNothing(maker, store)
  }

  @Test func aSourceThatFailsMakesNoSnapshot() throws {
    let store = MemoryStore()
    let maker = try Maker(in: store)
    let source = PushedSource { writer in
      try writer.enter(directory(""))
      try writer.add(entry("a", .fifo))
      throw cutOff
    }
    #expect(errorMessage { try maker.make(source) } == "\(cutOff)")
    try expectNothing(maker, store)
  }

  @Test(
    arguments: [
      [.hole(UInt64(Int64.max)), .data([1])], [.hole(UInt64.max)], [.data([1]), .hole(UInt64(Int64.max) - 1)],
    ] as [[MemoryStream.Piece]])
  func aStreamLargerThanAFileCanBeIsRefused(pieces: [MemoryStream.Piece]) throws {
    let maker = try Maker()
    #expect(errorMessage { try maker.make(stream(MemoryStream(pieces))) }.contains("larger than files can be"))
    #expect(try maker.snapshots().isEmpty)
  }

  @Test func aRunThatIsStoppedKeepsWhatItHasStored() throws {
    let maker = try Maker()
    let data = bytes(6 * Self.megabyte, seed: 5)
    let stop = CancellationFlag()
    let stopped = MemoryStream([.data(data), .data([1])], missing: nil, atEnd: { stop.raise() })
    #expect(throws: Stopped.self) { try maker.make(stream(stopped), progress: RunProgress(stop: stop)) }
    #expect(try maker.snapshots().isEmpty)
    let result = try maker.make(stream(MemoryStream([.data(data), .data([1])])))
    #expect(result.record.counts.bytesRead > 6 * UInt64(Self.megabyte))
    #expect(result.record.counts.bytesNew < 3 * UInt64(Self.megabyte))
  }

  @Test func aFlagThatIsRaisedEndsASourceWithoutStreams() throws {
    let maker = try Maker()
    let progress = RunProgress()
    let source = PushedSource { writer in
      try writer.enter(directory(""))
      for number in 100..<1000 {
        if number == 500 { progress.stop.raise() }
        try writer.add(entry("\(number)", .fifo))
      }
      Issue.record("the run was to end")
    }
    #expect(throws: Stopped.self) { try maker.make(source, progress: progress) }
  }

  @Test func nothingAtAllMakesNoSnapshot() throws {
    let maker = try Maker()
    let source = PushedSource { writer in
      var root = directory("")
      root.isPartial = true
      try writer.enter(root)
      try writer.leave()
    }
    #expect(errorCode { try maker.make(source) } == .failed)
  }

  @Test func aTreeIsOnlySoDeep() throws {
    let maker = try Maker()
    func chain(_ depth: Int) -> PushedSource {
      PushedSource { writer in
        try writer.enter(directory(""))
        for _ in 1..<depth { try writer.enter(directory("d")) }
        for _ in 0..<depth { try writer.leave() }
      }
    }
    let message = errorMessage { try maker.make(chain(Limits.treeDepthMax)) }
    #expect(message.contains("nested too deeply"))
    try maker.make(chain(Limits.treeDepthMax - 1))
    #expect(try maker.last().root.entry.below == UInt64(Limits.treeDepthMax - 2))
  }

  // MARK: Runs

  @Test func theNextSnapshotIsComparedWithTheOneBefore() throws {
    let maker = try Maker()
    var tree = MadeUpTree()
    for name in ["same", "other", "gone", "d/same", "d/gone/x", "e/linked"] { tree[name] = .small(Array(name.utf8)) }
    tree["e/name"] = .link(to: Array("e/linked".utf8))
    let first = try maker.make(tree)
    tree["other"] = .small([7])
    tree["gone"] = nil
    tree["d/gone/x"] = nil
    tree["new"] = .small([8])
    tree.changes[Array("d".utf8)] = 5
    let second = try maker.make(tree)
    let counts = second.record.counts
    #expect(second.record.base == first.id)
    #expect(second.baseName == first.record.name)
    #expect(counts.added == 1)
    // The other file and the directory.
    #expect(counts.modified == 2)
    // One file, a directory, and what was in it.
    #expect(counts.deleted == 3)
    #expect(counts.unchanged == counts.entries - 3)
    // A file of several names keeps its group, and a new one gets another.
    let before = try maker.last().entries().compactMap(\.entry.linkGroup)
    tree["a-new"] = .small([9])
    tree["b-new"] = .link(to: Array("a-new".utf8))
    try maker.make(tree)
    let after = try maker.last().entries().compactMap(\.entry.linkGroup)
    #expect(Array(after.suffix(2)) == before)
    #expect(after[0] == after[1] && !before.contains(after[0]))
  }

  @Test func everyEntryIsToldOfInOrder() throws {
    let maker = try Maker()
    var tree = MadeUpTree()
    tree["d/a"] = .small([1])
    tree["d-"] = .streamed([.data([2])])
    var told: [String] = []
    try maker.make(
      tree, listing: EntryListing(isComplete: true) { told.append(String(decoding: $0.path, as: UTF8.self)) })
    #expect(told == ["d/a", "d", "d-", ""])
  }

  @Test func aProblemIsCountedAndTheDirectorySaysSo() throws {
    let maker = try Maker()
    let source = PushedSource { writer in
      try writer.enter(directory(""))
      try writer.add(entry("a", .fifo))
      try writer.enter(directory("d"))
      try writer.note(PathProblem(.unreadable, Array("d/x".utf8), "it is a secret"))
      try writer.leave()
      try writer.leave()
    }
    var reported: [String] = []
    let result = try maker.make(source) { reported.append($0.message) }
    #expect(reported == ["it is a secret"])
    #expect(result.problems == 1)
    #expect(result.record.counts.unreadable == 1)
    #expect(try maker.last().node(at: Array("d".utf8))?.entry.isIncomplete == true)
    #expect(try maker.last().root.entry.isIncomplete == false)
    #expect(errorCode { try maker.make(source, isStrict: true) } == .failed)
    #expect(try maker.snapshots().count == 1)
  }

  @Test func aDryRunStoresNothing() throws {
    let store = MemoryStore()
    let maker = try Maker(in: store)
    let before = store.paths
    var options = SnapshotOptions()
    options.isDryRun = true
    var tree = MadeUpTree()
    tree["a"] = .small([1, 2])
    let result = try maker.make(tree, options)
    #expect(result.id == nil)
    #expect(result.record.counts.files == 1 && result.record.counts.bytes == 2)
    #expect(store.paths == before)
    let unread = MemoryStream([.data([1])])
    #expect(errorCode { try maker.make(stream(unread), options) } == .usage)
    #expect(unread.state.withLock { $0.starts } == 0)
  }

  /// What a plan with files and databases will need: each tells of a part.
  @Test func oneSourceTellsOfAPartOfAnother() throws {
    let maker = try Maker()
    var tree = MadeUpTree()
    tree["x/1"] = .small([1])
    tree["y"] = .streamed([.data([2, 2])])
    func mix() -> PushedSource {
      PushedSource { writer in
        let base = writer.base
        try writer.builder.take(.enter(directory(""), base: base?.reader.root))
        let here = base?.child(Array("dumps".utf8), of: base?.reader.root)
        try writer.builder.take(.enter(directory("dumps"), base: here))
        try writer.write(tree.writeContent, below: here, path: Array("dumps".utf8))
        try writer.builder.take(.leave(isIncomplete: false))
        let last = base?.child(Array("etc".utf8), of: base?.reader.root)
        try writer.builder.take(.entry(entry("etc", .fifo), base: last))
        try writer.builder.take(.leave(isIncomplete: false))
      }
    }
    try maker.make(mix())
    let paths = try maker.last().entries().map { String(decoding: $0.path, as: UTF8.self) }
    #expect(paths == ["dumps", "dumps/x", "dumps/x/1", "dumps/y", "etc"])
    let again = try maker.make(mix())
    #expect(again.record.counts.unchanged == again.record.counts.entries)
    tree["x/0/"] = nil
    tree["z\0"] = .small([])
    #expect(errorMessage { try maker.make(mix()) }.contains("/dumps/z"))
  }

  @Test func streamsOfOneSnapshotAreOpenOneAtATime() throws {
    let maker = try Maker()
    let open = Monitor((now: 0, most: 0, all: 0))
    final class Counted: ByteStream {
      private let open: Monitor<(now: Int, most: Int, all: Int)>
      private let inner: MemoryStream
      init(_ open: Monitor<(now: Int, most: Int, all: Int)>, _ bytes: [UInt8]) {
        self.open = open
        inner = MemoryStream([.data(bytes)])
      }
      func start() {
        open.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1), $0.all + 1) }
      }
      func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int { try inner.read(into: buffer) }
      func finish() {}
      func cancel() { open.withLock { $0.now -= 1 } }
    }
    try maker.make(
      PushedSource { writer in
        try writer.enter(directory(""))
        for number in 100..<200 {
          try writer.add(entry("\(number)", writer.store(Counted(open, bytes(70_000, seed: UInt64(number))))))
        }
        try writer.leave()
      })
    let seen = open.withLock { $0 }
    #expect(seen.now == 0 && seen.most == 1 && seen.all == 100)
    for (index, found) in try maker.last().entries().enumerated() {
      #expect(try maker.last().content(of: found.entry) == bytes(70_000, seed: UInt64(100 + index)))
    }
  }

  @Test func aWriteOnlyKeyComparesWithItsOwnListings() throws {
    let test = try TestRepository()
    let repository = try test.addWriter(.writeOnly)
    var tree = MadeUpTree()
    for number in 0..<1000 { tree["d/\(number)"] = .small(Array("\(number)".utf8)) }
    tree["large"] = .streamed([.data(bytes(5 * Self.megabyte, seed: 6))])
    func make() throws -> SnapshotRun.Result {
      try SnapshotRun.run(
        repository, SnapshotOptions(), from: tree, problems: ProblemCounter(isStrict: false) { _ in },
        progress: RunProgress())
    }
    _ = try make()
    tree["d/1"] = .small([1, 2, 3])
    let second = try make()
    #expect(second.record.counts.modified == 1)
    #expect(second.record.counts.unchanged == 1002)
  }

  // MARK: Names of snapshots

  @Test func twoOfOneMinuteHaveNamesOfTheirOwn() throws {
    let maker = try Maker()
    var tree = MadeUpTree()
    tree["a"] = .small([1])
    var options = SnapshotOptions()
    options.summary = "before the move"
    for _ in 0..<4 { try maker.make(tree, options) }
    let names = try maker.snapshots().map(\.snapshot.record.name)
    #expect(Set(names).count == 4)
    #expect(names.allSatisfy { $0.hasSuffix("_before-the-move") })
  }

  @Test func runsThatEndTogetherHaveNamesOfTheirOwn() throws {
    let maker = try Maker()
    var tree = MadeUpTree()
    tree["a"] = .small([1])
    let failures = Monitor<[String]>([])
    try onThreads(3) { [tree] number in
      do {
        var options = SnapshotOptions()
        options.plan = "plan \(number)"
        let repository = try maker.test.open()
        for _ in 0..<4 {
          _ = try SnapshotRun.run(
            repository, options, from: tree, problems: ProblemCounter(isStrict: false) { _ in },
            progress: RunProgress())
        }
      } catch {
        failures.withLock { $0.append("\(error)") }
      }
    }
    #expect(failures.withLock { $0 } == [])
    let names = try maker.snapshots().map(\.snapshot.record.name)
    #expect(names.count == 12)
    #expect(Set(names).count == 12)
  }

  @Test func wordsThatCannotBeRecordedAreRefusedBeforeAnythingIsRead() throws {
    let maker = try Maker()
    var options = SnapshotOptions()
    options.purpose = String(repeating: "x", count: Limits.textSizeMax + 1)
    #expect(
      errorCode { try maker.make(PushedSource { _ in Issue.record("nothing is to be read") }, options) } == .usage)
  }
}
