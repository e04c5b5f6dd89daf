// The walk over trees that are really there, and that change while it goes on.
import FileBackup
import Glibc
import LocalFiles
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import SnapshotTree
import SnapshotWriting
import TestSupport
import Testing

@Suite struct TreeWalkTests {
  /// Longer than the scan of a directory is taken to be fresh.
  private static let staleNanoseconds: Int64 = 150_000_000

  /// A tree of its own, and a repository in memory.
  private final class Fixture {
    let test: TestRepository
    let root: String
    var options = BackupOptions()
    var problems: [PathProblem] = []

    init(_ root: String) throws {
      test = try TestRepository()
      self.root = root
      options.sources = [root]
    }

    func directory(_ path: String) throws { try Directory.makeAll(root + "/" + path) }
    func file(_ path: String, _ text: String = "x") throws { try writeFile(root + "/" + path, Array(text.utf8)) }
    func link(_ path: String, to target: String) throws {
      try FileSystem.makeSymbolicLink(to: Array(target.utf8), (root + "/" + path).pathBytes, at: nil)
    }

    /// `told` is called when an entry has been taken in, on the thread of the walk.
    @discardableResult
    func backUp(told: @escaping (EntryEvent) -> Void = { _ in }) throws -> Backup.Result {
      problems = []
      return try Backup.run(
        test.open(), options, progress: RunProgress(), listing: EntryListing(isComplete: true, told)
      ) { self.problems.append($0) }
    }

    /// What the last snapshot has below the root of this tree, and its content.
    func entries() throws -> [(path: String, entry: Entry)] {
      let reader = try last()
      guard let top = try reader.node(at: Array(root.utf8)) else { return [] }
      var out: [(path: String, entry: Entry)] = []
      try reader.walk(from: top) { node, path in
        if !path.isEmpty { out.append((String(decoding: path, as: UTF8.self), node.entry)) }
        return true
      }
      return out
    }

    func paths() throws -> [String] { try entries().map(\.path) }

    func entry(_ path: String) throws -> Entry? { try entries().first { $0.path == path }?.entry }

    func text(_ path: String) throws -> String? {
      guard let entry = try entry(path), case .file(let size, let content) = entry.body else { return nil }
      let reader = try last()
      let parts = try FileContentReader(tree: reader.tree, keySet: reader.snapshot.keySet)
        .parts(of: content, size: size, at: 0, count: Int(size))
      return String(decoding: parts.flatMap { part in part.withBytes { Array($0) } }, as: UTF8.self)
    }

    func last() throws -> SnapshotReader {
      let repository = try test.open()
      guard let last = try SnapshotCatalog(repository).snapshots.last else {
        throw YesterError(.failed, "there is no snapshot")
      }
      return SnapshotReader(last, tree: TreeStore(reader: repository.reader))
    }
  }

  private func withFixture(_ body: (Fixture) throws -> Void) throws {
    try withTemporaryDirectory { try body(Fixture($0)) }
  }

  /// Long enough for changes to show in times.
  private func letTimePass() { System.sleep(nanoseconds: 30_000_000) }

  @Test(arguments: [1, 4]) func entriesComeInTheOrderOfATree(threads: Int) throws {
    try withFixture { fixture in
      fixture.options.readConcurrency = threads
      for path in ["a/z", "a-b/c", "a.b", "é/1", "b/b/b"] { try fixture.directory(path) }
      for path in ["a/y", "a-b/a", "a-c", "z", "é/0"] { try fixture.file(path, path) }
      try fixture.link("b/b/b/l", to: "nowhere")
      var told: [String] = []
      try fixture.backUp { event in
        let path = String(decoding: event.path, as: UTF8.self)
        if path.hasPrefix(fixture.root.dropFirst() + "/") { told.append(String(path.dropFirst(fixture.root.count))) }
      }
      #expect(
        try fixture.paths()
          == [
            "a", "a/y", "a/z", "a-b", "a-b/a", "a-b/c", "a-c", "a.b", "b", "b/b", "b/b/b", "b/b/b/l", "z", "é", "é/0",
            "é/1",
          ].sorted { $0.split(separator: "/").lexicographicallyPrecedes($1.split(separator: "/")) { precedes($0, $1) } }
      )
      // A directory behind what is in it.
      #expect(
        told == [
          "a/y", "a/z", "a", "a-b/a", "a-b/c", "a-b", "a-c", "a.b", "b/b/b/l", "b/b/b", "b/b", "b", "z", "é/0", "é/1",
          "é",
        ])
      #expect(try fixture.text("é/0") == "é/0")
      #expect(fixture.problems.isEmpty)
    }
  }

  private func precedes(_ name: Substring, _ other: Substring) -> Bool {
    Array(name.utf8).precedes(Array(other.utf8))
  }

  @Test func whatIsExcludedIsLeftOutAndItsDirectorySaysSo() throws {
    try withFixture { fixture in
      for path in ["keep", "cache/deep", "mixed"] { try fixture.directory(path) }
      for path in ["keep/a", "cache/deep/b", "mixed/c.tmp", "mixed/d"] { try fixture.file(path) }
      fixture.options.excludes = try ExcludeRules(lines: ["cache/", "*.tmp"].map(\.pathBytes))
      var excluded: [String] = []
      let result = try fixture.backUp { event in
        if event.kind == .excluded { excluded.append(String(decoding: event.path, as: UTF8.self)) }
      }
      #expect(try fixture.paths() == ["keep", "keep/a", "mixed", "mixed/d"])
      #expect(excluded.map { $0.dropFirst(fixture.root.count) } == ["cache", "mixed/c.tmp"])
      #expect(try fixture.entry("mixed")?.isIncomplete == true)
      #expect(try fixture.entry("keep")?.isIncomplete == false)
      #expect(result.problems == 0)
    }
  }

  @Test func whatDidNotChangeIsTakenOverWithoutBeingRead() throws {
    try withFixture { fixture in
      for number in 0..<20 {
        try fixture.directory("\(number)")
        for file in 0..<20 { try fixture.file("\(number)/\(file)", "\(number) \(file)") }
      }
      letTimePass()
      try fixture.backUp()
      // Its times and its size say that it is as it was; so its content is that of the base.
      let changed = fixture.root + "/3/3"
      let before = try FileStatus(of: changed)
      try fixture.file("3/3", "9 9")
      var times = [
        timespec(tv_sec: Int(before.modified.seconds), tv_nsec: Int(before.modified.nanoseconds)),
        timespec(tv_sec: Int(before.modified.seconds), tv_nsec: Int(before.modified.nanoseconds)),
      ]
      #expect(utimensat(AT_FDCWD, changed, &times, 0) == 0)
      fixture.options.comparesChangeTime = false
      let second = try fixture.backUp()
      #expect(second.record.counts.bytesRead == 0)
      #expect(second.record.counts.added == 0 && second.record.counts.deleted == 0)
      #expect(try fixture.text("3/3") == "3 3")
      fixture.options.comparesChangeTime = true
      let third = try fixture.backUp()
      #expect(third.record.counts.bytesRead == 3)
      #expect(try fixture.text("3/3") == "9 9")
    }
  }

  @Test func whatIsGoneAndWhatIsNewIsSeen() throws {
    try withFixture { fixture in
      try fixture.directory("d/e")
      for path in ["d/a", "d/e/b", "d/e/c", "f"] { try fixture.file(path) }
      letTimePass()
      try fixture.backUp()
      removeTree(fixture.root + "/d/e")
      try fixture.file("d/e", "now a file")
      try fixture.file("g")
      let second = try fixture.backUp()
      #expect(try fixture.paths() == ["d", "d/a", "d/e", "f", "g"])
      // The directory and the two files in it.
      #expect(second.record.counts.deleted == 3)
      #expect(second.record.counts.added == 2)
    }
  }

  /// Links are taken in at once, so that the walk can be met at a place of its way.
  private func change(
    _ fixture: Fixture, at name: String = "a", _ body: @escaping () throws -> Void
  ) throws -> Backup.Result {
    var isChanged = false
    return try fixture.backUp { event in
      guard !isChanged, event.path.suffix(name.utf8.count + 1) == Array("/\(name)".utf8)[...] else { return }
      isChanged = true
      do {
        try body()
      } catch {
        Issue.record("the tree could not be changed: \(error)")
      }
      System.sleep(nanoseconds: Self.staleNanoseconds)
    }
  }

  @Test func aDirectoryThatVanishesMeanwhileIsNamed() throws {
    try withFixture { fixture in
      try fixture.link("a", to: "x")
      try fixture.directory("m/deep")
      try fixture.file("m/1")
      try fixture.file("z")
      let result = try change(fixture) { removeTree(fixture.root + "/m") }
      #expect(try fixture.paths() == ["a", "z"])
      #expect(fixture.problems.map(\.kind) == [.vanished])
      #expect(result.problems == 0)
    }
  }

  @Test func aDirectoryThatBecomesAFileIsStoredAsOne() throws {
    try withFixture { fixture in
      try fixture.link("a", to: "x")
      try fixture.directory("m/deep")
      try fixture.file("z")
      _ = try change(fixture) {
        removeTree(fixture.root + "/m")
        try fixture.file("m", "a file now")
      }
      #expect(try fixture.paths() == ["a", "m", "z"])
      #expect(try fixture.text("m") == "a file now")
    }
  }

  /// It is not followed: what it leads to was not asked for.
  @Test func aDirectoryThatBecomesALinkIsStoredAsOne() throws {
    try withFixture { fixture in
      try fixture.link("a", to: "x")
      try fixture.directory("m/deep")
      try fixture.file("z")
      _ = try change(fixture) {
        removeTree(fixture.root + "/m")
        try fixture.link("m", to: "/etc")
      }
      #expect(try fixture.paths() == ["a", "m", "z"])
      #expect(try fixture.entry("m")?.body == .symbolicLink(target: Array("/etc".utf8)))
    }
  }

  @Test func aDirectoryThatIsReplacedByAnotherIsScannedAgain() throws {
    try withFixture { fixture in
      try fixture.link("a", to: "x")
      try fixture.directory("m")
      try fixture.file("m/old")
      _ = try change(fixture) {
        removeTree(fixture.root + "/m")
        try fixture.directory("m")
        try fixture.file("m/new")
      }
      #expect(try fixture.paths() == ["a", "m", "m/new"])
      #expect(fixture.problems.isEmpty)
    }
  }

  /// They were seen as files before they were replaced. A link in place of one is not followed, and a FIFO not waited for.
  @Test func aFileThatCannotBeReadIsNamedAndItsDirectorySaysSo() throws {
    try withFixture { fixture in
      try fixture.directory("d")
      try fixture.link("d/a", to: "x")
      for name in ["b", "c", "e", "f"] { try fixture.file("d/\(name)", name) }
      let result = try change(fixture) {
        for name in ["b", "c", "e"] { removeTree(fixture.root + "/d/" + name) }
        try fixture.link("d/b", to: "f")
        #expect(mkfifo(fixture.root + "/d/c", 0o600) == 0)
      }
      #expect(try fixture.paths() == ["d", "d/a", "d/f"])
      #expect(fixture.problems.map(\.kind) == [.unreadable, .changed, .vanished])
      #expect(fixture.problems.map { String(decoding: $0.path.suffix(3), as: UTF8.self) } == ["d/b", "d/c", "d/e"])
      #expect(result.problems == 2)
      #expect(try fixture.entry("d")?.isIncomplete == true)
    }
  }

  @Test func aTreeOfMoreLevelsThanDirectoriesMayBeOpenIsWalkedToItsEnd() throws {
    try withFixture { fixture in
      var path = ""
      var expected: [String] = []
      for level in 0..<300 {
        expected.append(path + "d")
        path += "d/"
        try fixture.directory(path)
        // One that comes before the directory below, and one that the walk comes back for.
        try fixture.file(path + "a", "\(level) before")
        try fixture.file(path + "z", "\(level) behind")
        expected += [path + "a", path + "z"]
      }
      let result = try fixture.backUp()
      #expect(try Set(fixture.paths()) == Set(expected))
      #expect(try fixture.paths().count == expected.count)
      for level in [0, 1, 40, 299] {
        let above = String(repeating: "d/", count: level + 1)
        #expect(try fixture.text(above + "a") == "\(level) before")
        #expect(try fixture.text(above + "z") == "\(level) behind")
      }
      #expect(result.problems == 0)
      let again = try fixture.backUp()
      #expect(again.record.counts.added == 0 && again.record.counts.deleted == 0)
    }
  }

  @Test func aSourceThatIsNotThereIsMissingAndTheOthersAreStored() throws {
    try withFixture { fixture in
      try fixture.directory("here")
      try fixture.file("here/a")
      fixture.options.sources = ["here", "there"].map { fixture.root + "/" + $0 }
      let result = try fixture.backUp()
      #expect(result.missingSources == 1)
      #expect(fixture.problems.map(\.kind) == [.missing])
      #expect(try fixture.paths() == ["here", "here/a"])
      fixture.options.isStrict = true
      #expect(errorCode { try fixture.backUp() } == .failed)
      fixture.options.isStrict = false
      fixture.options.sources = [fixture.root + "/there"]
      #expect(errorCode { try fixture.backUp() } == .failed)
    }
  }

  /// Of a directory above sources only the way is kept.
  @Test func theWayToSourcesHoldsNothingElse() throws {
    try withFixture { fixture in
      try fixture.directory("way/source/in")
      try fixture.directory("way/beside")
      try fixture.file("way/file")
      try fixture.file("way/source/in/a")
      // The second lies in the first, and the third says it again.
      fixture.options.sources = ["way/source", "way/source/in", "way/source", "way/file"].map {
        fixture.root + "/" + $0
      }
      try fixture.backUp()
      #expect(try fixture.paths() == ["way", "way/file", "way/source", "way/source/in", "way/source/in/a"])
      #expect(try fixture.entry("way")?.isPartial == true)
      #expect(try fixture.entry("way/source")?.isPartial == false)
    }
  }

  @Test func aFileWithSeveralNamesIsReadOnce() throws {
    try withFixture { fixture in
      try fixture.directory("d")
      try fixture.file("first", String(repeating: "x", count: 1000))
      for name in ["d/second", "third"] {
        #expect(Glibc.link(fixture.root + "/first", fixture.root + "/" + name) == 0)
      }
      let result = try fixture.backUp()
      #expect(result.record.counts.bytesRead == 1000)
      let groups = try fixture.entries().filter { !$0.entry.isDirectory }.map(\.entry.linkGroup)
      #expect(groups.count == 3)
      #expect(groups[0] != nil && Set(groups).count == 1)
    }
  }

  @Test func aDryRunWalksAndStoresNothing() throws {
    try withFixture { fixture in
      try fixture.directory("d")
      try fixture.file("d/a", "12345")
      fixture.options.isDryRun = true
      let result = try fixture.backUp()
      #expect(result.id == nil)
      #expect(result.record.counts.files == 1)
      #expect(result.record.counts.bytes == 5)
      #expect(result.record.counts.bytesRead == 0)
      #expect(try SnapshotCatalog(fixture.test.open()).snapshots.isEmpty)
    }
  }

  @Test func aWalkThatIsStoppedMakesNoSnapshot() throws {
    try withFixture { fixture in
      for number in 0..<50 { try fixture.link("\(number)", to: "x") }
      let progress = RunProgress()
      let listing = EntryListing(isComplete: true) { _ in progress.stop.raise() }
      #expect(throws: Stopped.self) {
        try Backup.run(fixture.test.open(), fixture.options, progress: progress, listing: listing) { _ in }
      }
      #expect(try SnapshotCatalog(fixture.test.open()).snapshots.isEmpty)
    }
  }
}
