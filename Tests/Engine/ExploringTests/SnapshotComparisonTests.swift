@testable import Exploring
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import SnapshotTree
import TestSupport
import Testing

/// What differs between two snapshots, at the cost of the differences.
@Suite struct SnapshotComparisonTests {
  private let test: TestRepository
  private let repository: Repository

  init() throws {
    test = try TestRepository()
    repository = try test.open()
  }

  /// Two snapshots, and the chunks that are read of them from now on.
  private func snapshots(
    _ old: [TestEntry], _ new: [TestEntry], leafEntriesMax: Int = .max
  ) throws -> (SnapshotLocation, SnapshotLocation, WatchedChunks) {
    let ids = try [old, new].enumerated().map {
      try repository.addSnapshot($0.offset + 1, of: $0.element, leafEntriesMax: leafEntriesMax)
    }
    let chunks = WatchedChunks(repository.reader)
    return (
      SnapshotLocation(try repository.snapshot(ids[0], by: chunks)),
      SnapshotLocation(try repository.snapshot(ids[1], by: chunks)), chunks
    )
  }

  private func differences(
    _ old: [TestEntry], _ new: [TestEntry], leafEntriesMax: Int = .max
  ) throws -> [String] {
    let (a, b, _) = try snapshots(old, new, leafEntriesMax: leafEntriesMax)
    var out: [String] = []
    let counts = try SnapshotComparison(a, b, stop: CancellationFlag()).run { out.append($0.line) }
    #expect(counts.total == UInt64(out.count))
    return out
  }

  @Test func eachKindOfDifferenceIsToldOnceInTheOrderOfNames() throws {
    #expect(
      try differences(
        [
          .file("content", "old"), .file("gone", "x"), .file("mode", "x"), .file("same", "x"), .link("target", to: "a"),
          .file("time", "x"), .file("type", "x"), .file("owner", "x"), .directory("empty"),
        ],
        [
          .file("content", "new!"), .file("mode", "x").with { $0.permissions = 0o600 }, .file("new", "x"),
          .file("same", "x"), .link("target", to: "b"), .file("time", "x").with { $0.modified = Timestamp(seconds: 7) },
          .directory("type"), .file("owner", "x").with { $0.owner = Owner(user: 7, group: 7) }, .directory("empty"),
        ]) == [
          "M content (content)", "- gone ()", "m mode (mode)", "+ new ()", "m owner (owner)", "M target (content)",
          "m time (modified)", "T type (type)",
        ])
  }

  @Test func equalSizesAndTimesHideNoOtherContent() throws {
    #expect(try differences([.file("f", "old")], [.file("f", "new")]) == ["M f (content)"])
  }

  @Test func attributesCountWhateverTheirOrder() throws {
    let attributes = ["user.a", "user.b"].map { ExtendedAttribute(name: Array($0.utf8), value: [1]) }
    func file(_ attributes: [ExtendedAttribute]) -> [TestEntry] {
      [.file("f", "x").with { $0.attributes = attributes }]
    }
    #expect(try differences(file(attributes), file(attributes.reversed())) == [])
    #expect(try differences(file(attributes), file([attributes[0]])) == ["m f (xattrs)"])
  }

  @Test func theTimeOfADirectoryIsNoDifference() throws {
    #expect(try differences([.directory("d")], [.directory("d").with { $0.modified = Timestamp(seconds: 7) }]) == [])
  }

  @Test func aDirectoryComesWithAllBelowIt() throws {
    let tree: [TestEntry] = [.directory("d", [.directory("e", [.file("f", "x")]), .file("g", "x")])]
    #expect(try differences([], tree) == ["+ d ()", "+ d/e ()", "+ d/e/f ()", "+ d/g ()"])
    #expect(try differences(tree, []) == ["- d ()", "- d/e ()", "- d/e/f ()", "- d/g ()"])
  }

  @Test func whatWasInADirectoryThatBecameAFileIsGone() throws {
    let (directory, file) = (TestEntry.directory("d", [.file("f", "x")]), TestEntry.file("d", "x"))
    #expect(try differences([directory], [file]) == ["T d (type)", "- d/f ()"])
    #expect(try differences([file], [directory]) == ["T d (type)", "+ d/f ()"])
  }

  @Test func contentThatIsCutInOtherPiecesIsTheSame() throws {
    let (a, b) = (Array("one".utf8), Array("two".utf8))
    #expect(
      try differences([.file("f", pieces: [.data(a), .data(b)])], [.file("f", a + b)]) == [])
  }

  @Test func sparseFilesWithoutAHashAreReadAndCompared() throws {
    func file(_ byte: UInt8, hole: Int = 3_000_000) -> [TestEntry] {
      [.file("f", pieces: [.data([1]), .hole(hole), .data([byte])])]
    }
    // The same bytes, of which one stores some zeros.
    let zeros: [TestEntry] = [
      .file("f", pieces: [.data([1]), .hole(2_999_990), .data([UInt8](repeating: 0, count: 10)), .data([5])])
    ]
    #expect(try differences(file(5), zeros) == [])
    #expect(try differences(file(5), file(6)) == ["M f (content)"])
    #expect(try differences(file(5), file(5, hole: 3_000_001)) == ["M f (content)"])
  }

  // MARK: What is read

  @Test func equalSnapshotsAreComparedWithoutReading() throws {
    let tree: [TestEntry] = [.directory("d", (0..<50).map { .file("\($0)", "content \($0)") })]
    let (a, b, chunks) = try snapshots(tree, tree)
    #expect(try SnapshotComparison(a, b, stop: CancellationFlag()).run { _ in }.total == 0)
    #expect(chunks.read == [])
  }

  @Test func equalDirectoriesAreNotGoneInto() throws {
    let large = TestEntry.directory("large", (0..<50).map { .directory("\($0)", [.file("f", "content \($0)")]) })
    let (a, b, chunks) = try snapshots(
      [large, .directory("small", [.file("f", "old")])], [large, .directory("small", [.file("f", "new")])])
    #expect(try SnapshotComparison(a, b, stop: CancellationFlag()).run { _ in }.total == 1)
    // Two roots and two small directories.
    #expect(chunks.read.count == 4)
  }

  @Test func ofALargeDirectoryOnlyThePartThatDiffersIsRead() throws {
    let old = (0..<1000).map { TestEntry.file("f" + pad($0, 4), "\($0)") }
    var new = old
    new[500] = .file("f0500", "changed")
    let (a, b, chunks) = try snapshots(old, new, leafEntriesMax: 10)
    var found: [String] = []
    _ = try SnapshotComparison(a, b, stop: CancellationFlag()).run { found.append($0.line) }
    #expect(found == ["M f0500 (content)"])
    // A branch and a leaf of each.
    #expect(chunks.read.count == 4)
  }

  /// However the leaves are cut, the same differences are found.
  @Test(arguments: 0..<20) func howListingsAreCutDoesNotMatter(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    func tree() -> [TestEntry] {
      var names: Set<String> = []
      while names.count < 40 { names.insert("\(random.below(60))") }
      return names.sorted().map { .file($0, "\(random.below(2))") }
    }
    let (old, new) = (tree(), tree())
    let whole = try differences(old, new)
    #expect(!whole.isEmpty)
    for size in [1, 3, 39] { #expect(try differences(old, new, leafEntriesMax: size) == whole, "leaves of \(size)") }
  }

  @Test func aComparisonEndsWhenItIsStopped() throws {
    let (a, b, _) = try snapshots([.file("a", "x")], [.file("b", "x")])
    let stop = CancellationFlag()
    #expect(throws: Stopped.self) {
      try SnapshotComparison(a, b, stop: stop).run { _ in stop.raise() }
    }
  }

  @Test func damageIsAnErrorAndNoDifference() throws {
    let ids = try [[TestEntry.file("a", "x")], [.file("b", "x")]].enumerated().map {
      try repository.addSnapshot($0.offset + 1, of: $0.element)
    }
    let damaged = WatchedChunks(repository.reader) { (_) throws(YesterError) in
      throw YesterError(.damaged, "it is damaged")
    }
    let locations = try ids.map { SnapshotLocation(try repository.snapshot($0, by: damaged)) }
    #expect(
      errorCode { _ = try SnapshotComparison(locations[0], locations[1], stop: CancellationFlag()).run { _ in } }
        == .damaged)
  }
}

extension Difference {
  /// As "letter path (aspects)".
  var line: String {
    "\(kind.letter) \(String(decoding: path, as: UTF8.self)) (\(aspects.map(\.rawValue).joined(separator: ", ")))"
  }
}
