@testable import Exploring
import Glibc
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import SnapshotTree
import TestSupport
import Testing

/// What differs between a snapshot and the files that are there now.
@Suite struct LiveComparisonTests {
  private final class Fixture {
    let test: TestRepository
    let repository: Repository
    private let temporary: TemporaryDirectory
    var folder: String { temporary.path }
    private(set) var chunks: WatchedChunks?

    init() throws {
      test = try TestRepository()
      repository = try test.open()
      temporary = try TemporaryDirectory()
      try set("")
    }

    func path(_ name: String) -> [UInt8] { Array((name.isEmpty ? folder : "\(folder)/\(name)").utf8) }

    /// Gives a live entry mode and time of what tests write down.
    func set(_ name: String, mode: UInt32? = nil, time: Timestamp = TestEntry.time) throws {
      let status = try FileStatus(of: path(name))
      if !status.isLink { try FileSystem.setMode(path(name), at: nil, mode ?? (status.isDirectory ? 0o755 : 0o644)) }
      try FileSystem.setTimes(path(name), at: nil, accessed: time, modified: time)
    }

    func write(_ name: String, _ text: String) throws {
      try writeFile("\(folder)/\(name)", Array(text.utf8))
      try set(name)
    }

    func makeDirectory(_ name: String) throws {
      try Directory.makeAll("\(folder)/\(name)")
      try set(name)
    }

    /// The differences from a snapshot of these entries, as "letter path (aspects)".
    func differences(
      _ entries: [TestEntry], problems: [String] = [], change: (inout SnapshotRecord) -> Void = { _ in }
    ) throws -> [String] {
      let id = try repository.addSnapshot(1, of: entries) { record in
        record.root.permissions = 0o755
        change(&record)
      }
      let chunks = WatchedChunks(repository.reader)
      self.chunks = chunks
      var found: [String] = []
      var out: [String] = []
      let comparison = LiveComparison(
        SnapshotLocation(try repository.snapshot(id, by: chunks)), of: repository, stop: CancellationFlag()
      ) { found.append(String(decoding: $0.path, as: UTF8.self)) }
      let counts = try comparison.run(path("")) { out.append($0.line) }
      #expect(counts.total == UInt64(out.count))
      #expect(found == problems)
      return out
    }
  }

  @Test func whatIsAsItWasIsNoDifference() throws {
    let fixture = try Fixture()
    try fixture.write("f", "text")
    try fixture.makeDirectory("d")
    try fixture.write("d/g", "more")
    try FileSystem.makeSymbolicLink(to: Array("f".utf8), fixture.path("l"), at: nil)
    try fixture.set("l")
    try FileSystem.makeNode(fixture.path("p"), at: nil, mode: S_IFIFO | 0o600)
    try fixture.set("p", mode: 0o600)
    #expect(
      try fixture.differences([
        .file("f", "text"), .directory("d", [.file("g", "more")]), .link("l", to: "f"), .fifo("p"),
      ]) == [])
  }

  @Test func eachKindOfDifferenceIsTold() throws {
    let fixture = try Fixture()
    for (name, text) in [
      ("content", "new"), ("mode", "x"), ("new", "x"), ("size", "longer"), ("time", "x"), ("type", "x"),
    ] {
      try fixture.write(name, text)
    }
    try fixture.set("mode", mode: 0o600)
    try fixture.set("time", time: Timestamp(seconds: 7))
    try FileSystem.makeSymbolicLink(to: Array("b".utf8), fixture.path("target"), at: nil)
    try fixture.set("target")
    #expect(
      try fixture.differences([
        .file("content", "old"), .file("gone", "x"), .file("mode", "x"), .file("size", "long"),
        .link("target", to: "a"),
        .file("time", "x"), .directory("type", [.file("was", "in")]),
      ]) == [
        "M content (content)", "- gone ()", "m mode (mode)", "+ new ()", "M size (content)", "M target (content)",
        "m time (modified)", "T type (type)", "- type/was ()",
      ])
  }

  @Test func whatIsBelowNewAndRemovedDirectoriesIsListed() throws {
    let fixture = try Fixture()
    try fixture.makeDirectory("new/deep")
    try fixture.write("new/deep/f", "x")
    #expect(
      try fixture.differences([.directory("old", [.directory("deep", [.file("f", "x")])])]) == [
        "+ new ()", "+ new/deep ()", "+ new/deep/f ()", "- old ()", "- old/deep ()", "- old/deep/f ()",
      ])
  }

  @Test func nothingIsFollowed() throws {
    let fixture = try Fixture()
    try FileSystem.makeSymbolicLink(to: Array("/etc".utf8), fixture.path("d"), at: nil)
    try fixture.set("d")
    #expect(try fixture.differences([.directory("d", [.file("f", "x")])]) == ["T d (type)", "- d/f ()"])
  }

  // MARK: What is read

  @Test func theVeryFileThatWasBackedUpIsNotRead() throws {
    let fixture = try Fixture()
    try fixture.write("f", "text")
    let status = try FileStatus(of: fixture.path("f"))
    let chunk = fixture.repository.chunkID(of: Array("text".utf8))
    let known = TestEntry.file("f", "text").with {
      $0.sourceInode = status.inode
      $0.changed = status.changed
    }
    #expect(try fixture.differences([known]) == [])
    #expect(fixture.chunks?.read.contains(chunk) == false)
    // Another inode of the same size and time may hold anything.
    #expect(try fixture.differences([known.with { $0.sourceInode += 1 }]) == [])
    #expect(fixture.chunks?.read.contains(chunk) == true)
  }

  @Test func aFileOfAnotherSizeIsNotRead() throws {
    let fixture = try Fixture()
    try fixture.write("f", "longer")
    #expect(try fixture.differences([.file("f", "text")]) == ["M f (content)"])
    #expect(fixture.chunks?.read.contains(fixture.repository.chunkID(of: Array("text".utf8))) == false)
  }

  @Test func holesAndZerosAreTheSame() throws {
    let fixture = try Fixture()
    let file = try Descriptor.open("\(fixture.folder)/f", O_WRONLY | O_CREAT, mode: 0o644)
    try file.write([1])
    try file.truncate(to: 3_000_000)
    try fixture.set("f")
    #expect(try fixture.differences([.file("f", pieces: [.data([1]), .hole(2_999_999)])]) == [])
    #expect(
      try fixture.differences([
        .file("f", pieces: [.data([1]), .hole(999_999), .data([UInt8](repeating: 0, count: 2_000_000))])
      ])
        == [])
    try [UInt8(7)].withUnsafeBytes { try file.write($0, at: 2_000_000) }
    try fixture.set("f")
    #expect(try fixture.differences([.file("f", pieces: [.data([1]), .hole(2_999_999)])]) == ["M f (content)"])
  }

  // MARK: What was left out on purpose

  @Test func whatTheSnapshotsExcludesMatchIsNotNew() throws {
    let fixture = try Fixture()
    try fixture.makeDirectory("cache")
    for name in ["cache/f", "a.tmp", "a.txt"] { try fixture.write(name, "x") }
    #expect(
      try fixture.differences([]) { $0.excludes = ["*.tmp", "/cache"].map { Array($0.utf8) } } == ["+ a.txt ()"])
    #expect(try fixture.differences([]).count == 4)
  }

  @Test func whatIsBesideTheSourcesIsNotNew() throws {
    let fixture = try Fixture()
    for name in ["way", "way/source"] { try fixture.makeDirectory(name) }
    for name in ["beside", "way/beside", "way/source/new"] { try fixture.write(name, "x") }
    let source = TestEntry.directory("source")
    let way = TestEntry.directory("way", [source]).with { $0.isPartial = true }
    #expect(try fixture.differences([way]) { $0.root.isPartial = true } == ["+ way/source/new ()"])
  }

  @Test func theContentOfACacheDirectoryIsNotNew() throws {
    let fixture = try Fixture()
    try fixture.makeDirectory("cache")
    for name in ["cache/CACHEDIR.TAG", "cache/f"] { try fixture.write(name, "tag") }
    #expect(try fixture.differences([.directory("cache", [.file("CACHEDIR.TAG", "tag")])]) == [])
    #expect(try fixture.differences([.directory("cache")]) == ["+ cache/CACHEDIR.TAG ()", "+ cache/f ()"])
  }

  @Test func aPlaceThatIsNotThereIsAnError() throws {
    let fixture = try Fixture()
    let id = try fixture.repository.addSnapshot(1, of: [.file("f", "x")])
    let comparison = LiveComparison(
      SnapshotLocation(try fixture.repository.snapshot(id)), of: fixture.repository, stop: CancellationFlag()
    ) { _ in }
    #expect(throws: YesterError.self) { try comparison.run(fixture.path("not/there")) { _ in } }
  }

  @Test func aComparisonEndsWhenItIsStopped() throws {
    let fixture = try Fixture()
    try fixture.write("new", "x")
    let id = try fixture.repository.addSnapshot(1, of: [.file("f", "x")])
    let stop = CancellationFlag()
    let comparison = LiveComparison(
      SnapshotLocation(try fixture.repository.snapshot(id)), of: fixture.repository, stop: stop
    ) { _ in }
    #expect(throws: Stopped.self) { try comparison.run(fixture.path("")) { _ in stop.raise() } }
  }
}
