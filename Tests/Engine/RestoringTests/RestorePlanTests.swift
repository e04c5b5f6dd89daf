import Glibc
import LocalFiles
import Platform
import Reporting
import RepositoryFormat
@testable import Restoring
import TestSupport
import Testing

/// The plan says what a restore will do, all of it, and looking changes nothing.
@Suite struct RestorePlanTests {
  private static let tree: [TestEntry] = [
    .file("same", "same"), .file("changed", "new text"), .file("mode", "mode").with { $0.permissions = 0o755 },
    .directory("new", [.file("a", "a"), .directory("b", [.link("c", to: "../a")])]),
    .directory("here", [.file("kept", "kept"), .file("missing", "missing")]),
    .directory("wasFile", [.file("in", "in")]), .file("wasDirectory", "now a file"),
  ]

  /// A destination that differs from the tree in each way there is.
  private func differing() throws -> RestoreFixture {
    let fixture = try RestoreFixture()
    _ = try fixture.restore(fixture.store([.file("same", "same"), .directory("here", [.file("kept", "kept")])]))
    try fixture.write("changed", "old text")
    _ = try fixture.restore(fixture.store([.file("mode", "mode")], day: 20_001))
    try fixture.write("wasFile", "a file")
    try fixture.makeDirectory("wasDirectory/deep")
    try fixture.write("wasDirectory/deep/f", "f")
    try fixture.write("extra", "extra")
    try fixture.makeDirectory("here/extra")
    try fixture.write("here/extra/f", "f")
    return fixture
  }

  @Test func thePlanListsExactlyWhatTheExecutorDoes() throws {
    let fixture = try differing()
    let reader = try fixture.store(Self.tree, day: 1)
    let prepared = try fixture.prepare(reader, deletes: true)
    let steps = prepared.plan.steps
    #expect(
      steps.sorted() == [
        "create here/missing", "create new", "delete extra", "delete here/extra", "metadata ", "metadata here",
        "metadata mode", "replace (newerThanSnapshot) changed", "replace (typeDiffers) wasDirectory",
        "replace (typeDiffers) wasFile",
      ])
    // A directory comes behind what is done in it.
    #expect(steps.firstIndex(of: "metadata here")! > steps.firstIndex(of: "create here/missing")!)
    #expect(steps.firstIndex(of: "metadata here")! > steps.firstIndex(of: "delete here/extra")!)
    #expect(steps.last == "metadata ")
    let result = try fixture.carryOut(prepared)
    #expect(result.outcome.failures == 0)
    #expect(
      result.events.sorted() == [
        "created here/missing", "created new", "created new/a", "created new/b", "created new/b/c",
        "created wasFile/in", "deleted extra", "deleted here/extra", "metadata ", "metadata here", "metadata mode",
        "replaced changed", "replaced wasDirectory", "replaced wasFile",
      ])
    #expect(
      try fixture.contents == [
        "same": "file same", "changed": "file new text", "mode": "file mode", "new": "directory", "new/a": "file a",
        "new/b": "directory", "new/b/c": "link ../a", "here": "directory", "here/kept": "file kept",
        "here/missing": "file missing", "wasFile": "directory", "wasFile/in": "file in",
        "wasDirectory": "file now a file",
      ])
    #expect(try fixture.status("mode").permissions == 0o755)
  }

  @Test func aRestoredTreeNeedsNothingMore() throws {
    let fixture = try differing()
    let reader = try fixture.store(Self.tree, day: 1)
    try fixture.restore(reader, deletes: true)
    let again = try fixture.prepare(reader, deletes: true).plan
    #expect(again.isEmpty && !again.isDestructive)
    #expect(again.steps.allSatisfy { $0.hasPrefix("finish ") })
    #expect(again.unchanged == 9)
  }

  @Test func theSumsOfThePlanAreThoseOfItsSteps() throws {
    let fixture = try differing()
    let plan = try fixture.prepare(fixture.store(Self.tree, day: 1), deletes: true).plan
    #expect(plan.creates == 5 && plan.replaces == 3 && plan.deletes == 2 && plan.metadata == 3)
    #expect(
      plan.bytes == UInt64("a".utf8.count + "missing".utf8.count + "new text".utf8.count + "innow a file".utf8.count))
    #expect(plan.isDestructive)
  }

  @Test func planningTouchesNothing() throws {
    let fixture = try differing()
    let before = try fixture.contents
    let times = try before.keys.sorted().map { try fixture.status($0).changed }
    _ = try fixture.prepare(fixture.store(Self.tree, day: 1), deletes: true)
    #expect(try fixture.contents == before)
    #expect(try before.keys.sorted().map { try fixture.status($0).changed } == times)
  }

  // MARK: What is different

  @Test func contentIsReadWhereSizeAndTimeAreTheSame() throws {
    let fixture = try RestoreFixture()
    let reader = try fixture.store([.file("f", "text")])
    try fixture.write("f", "test")
    try FileSystem.setMode(fixture.path("f"), at: nil, 0o644)
    try FileSystem.setTimes(fixture.path("f"), at: nil, accessed: TestEntry.time, modified: TestEntry.time)
    #expect(try fixture.prepare(reader).plan.steps.first == "replace (contentDiffers) f")
  }

  @Test func aFileChangedAfterTheSnapshotIsSaidToBeNewer() throws {
    let fixture = try RestoreFixture()
    let reader = try fixture.store([.file("f", "text"), .file("g", "text")], day: 100)
    try fixture.write("f", "text of later")
    try fixture.write("g", "text of before")
    let before = Timestamp(seconds: 99 * 86_400)
    try FileSystem.setTimes(fixture.path("g"), at: nil, accessed: before, modified: before)
    #expect(
      try fixture.prepare(reader).plan.steps.prefix(2) == [
        "replace (newerThanSnapshot) f", "replace (contentDiffers) g",
      ])
  }

  @Test func aLinkWithAnotherTargetIsReplaced() throws {
    let fixture = try RestoreFixture()
    let reader = try fixture.store([.link("same", to: "a"), .link("other", to: "a")])
    try fixture.makeLink("same", to: "a")
    try fixture.makeLink("other", to: "b")
    let steps = try fixture.prepare(reader).plan.steps
    #expect(steps.prefix(2) == ["replace (contentDiffers) other", "metadata same"])
  }

  @Test func namesThatAreNoLinksOfOneFileAreMadeSo() throws {
    let fixture = try RestoreFixture()
    let reader = try fixture.store([.file("a", "x").linked(1), .file("b", "x").linked(1)])
    try fixture.write("a", "x")
    try fixture.write("b", "x")
    let prepared = try fixture.prepare(reader)
    #expect(prepared.plan.steps.prefix(2) == ["metadata a", "replace (linkDiffers) b"])
    let kept = try fixture.status("a").inode
    try fixture.carryOut(prepared)
    #expect(try fixture.status("a").inode == kept && fixture.status("b").inode == kept)
  }

  // MARK: What is deleted

  @Test func nothingIsDeletedUnlessAskedFor() throws {
    let fixture = try differing()
    let plan = try fixture.prepare(fixture.store(Self.tree, day: 1)).plan
    #expect(plan.deletes == 0)
    try fixture.carryOut(fixture.prepare(fixture.store(Self.tree, day: 1)))
    #expect(try fixture.contents["extra"] == "file extra" && fixture.contents["here/extra/f"] == "file f")
  }

  @Test func whatASnapshotHoldsOnlyInPartLosesNothing() throws {
    let fixture = try RestoreFixture()
    let reader = try fixture.store([
      .directory("partial", [.directory("source")]).with { $0.isPartial = true },
      .directory("incomplete", [.file("a", "a")]).with { $0.isIncomplete = true },
      .directory("whole"),
    ])
    for name in ["partial", "partial/source", "incomplete", "whole"] {
      try fixture.makeDirectory(name)
      try fixture.write(name + "/extra", "extra")
    }
    let deletions = try fixture.prepare(reader, deletes: true).plan.steps.filter { $0.hasPrefix("delete") }
    #expect(deletions == ["delete partial/source/extra", "delete whole/extra"])
  }

  @Test func deletionStaysBelowTheRestoredDirectory() throws {
    let fixture = try RestoreFixture()
    let reader = try fixture.store([.directory("d", [.file("a", "a")]), .file("f", "f")])
    try fixture.makeDirectory("d")
    for name in ["d/extra", "extra", "f"] { try fixture.write(name, "extra") }
    let parent = try Descriptor.open(fixture.destination, Descriptor.directoryFlags)
    var options = Restore.Options()
    options.deletes = true
    let prepared = try Restore.prepare(
      reader, path: Array("d".utf8), inPlace: parent, name: Array("d".utf8), options, progress: RunProgress())
    #expect(prepared.plan.steps == ["create d/a", "delete d/extra", "metadata d"])
    try fixture.carryOut(prepared)
    #expect(
      try fixture.contents == ["d": "directory", "d/a": "file a", "extra": "file extra", "f": "file extra"])
  }

  @Test func aSingleFileIsRestoredUnderItsNameAndNothingBesideIt() throws {
    let fixture = try RestoreFixture()
    let reader = try fixture.store([.directory("d", [.file("a", "a"), .file("b", "b")])])
    try fixture.write("extra", "extra")
    let prepared = try fixture.prepare(reader, path: "d/a", deletes: true)
    #expect(prepared.plan.steps == ["create a"])
    try fixture.carryOut(prepared)
    #expect(try fixture.contents == ["a": "file a", "extra": "file extra"])
  }

  @Test func aPathThatTheSnapshotDoesNotHoldIsRefused() throws {
    let fixture = try RestoreFixture()
    let reader = try fixture.store([.link("link", to: "d"), .directory("d", [.file("a", "a")])])
    for path in ["e", "d/b", "link/a", "d/a/a"] {
      #expect(errorMessage { _ = try fixture.prepare(reader, path: path) }.contains("holds no"), "\(path)")
    }
  }

  @Test func onlyAPartOfADirectoryIsNotRolledBack() throws {
    let fixture = try RestoreFixture()
    let reader = try fixture.store([.directory("d", [.file("a", "a")]).with { $0.isPartial = true }])
    let parent = try Descriptor.open(fixture.destination, Descriptor.directoryFlags)
    let message = errorMessage {
      _ = try Restore.prepare(
        reader, path: Array("d".utf8), inPlace: parent, name: Array("d".utf8), Restore.Options(),
        progress: RunProgress())
    }
    #expect(message.contains("Only parts of"))
  }

  // MARK: What must stay

  @Test func aProtectedPlaceIsNeitherDeletedNorReplaced() throws {
    let fixture = try RestoreFixture()
    let reader = try fixture.store([.file("above", "a file"), .directory("other")])
    for name in ["above/repository", "extra/deep/cache", "other/plain"] { try fixture.makeDirectory(name) }
    let rootPaths = ["above/repository", "extra/deep/cache"].map { "\(fixture.destination)/\($0)" }
    let prepared = try fixture.prepare(reader, deletes: true, protecting: rootPaths)
    #expect(prepared.plan.steps.filter { !$0.hasPrefix("metadata") } == ["delete other/plain"])
    #expect(prepared.plan.problems.map { String(decoding: $0.path, as: UTF8.self) } == ["above", "extra"])
    #expect(prepared.plan.problems.allSatisfy { $0.kind == .skipped })
    try fixture.carryOut(prepared)
    #expect(try fixture.contents["above/repository"] == "directory")
    #expect(try fixture.contents["extra/deep/cache"] == "directory")
  }

  @Test func aProtectedDirectoryIsNotGoneInto() throws {
    let fixture = try RestoreFixture()
    let reader = try fixture.store([.directory("repository", [.file("config", "of the snapshot")])])
    try fixture.makeDirectory("repository")
    try fixture.write("repository/config", "in use")
    let prepared = try fixture.prepare(reader, deletes: true, protecting: [fixture.destination + "/repository"])
    #expect(prepared.plan.steps == ["metadata "])
    try fixture.carryOut(prepared)
    #expect(try fixture.contents["repository/config"] == "file in use")
  }

  @Test(arguments: ["", "/inside", "/inside/not/there/yet"])
  func theRepositoryIsNoDestination(below: String) throws {
    let fixture = try RestoreFixture()
    try fixture.makeDirectory("inside")
    let reader = try fixture.store([.file("a", "a")])
    var options = Restore.Options()
    options.protected = try ProtectedDirectories([fixture.destination])
    let before = try fixture.contents
    #expect(throws: YesterError.self) {
      try Restore.prepare(reader, path: [], into: fixture.destination + below, options, progress: RunProgress())
    }
    #expect(try fixture.contents == before)
  }
}
