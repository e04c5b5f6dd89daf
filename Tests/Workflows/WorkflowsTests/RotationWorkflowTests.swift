// What goes is decided and shown first, then removed all or not at all, and only then is space given back.
import SnapshotWriting
import ChunkCodec
import DirectoryStores
import FileBackup
import Maintenance
import ObjectStores
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing
import Workflows

/// As a user says it with nobody else at work.
private var thoroughPrune: PruneWorkflow {
  var workflow = PruneWorkflow(unusedMax: 0)
  workflow.minimumAge = 0
  return workflow
}

@Suite struct RotationWorkflowTests {
  private static let keepLast: RetentionRules = {
    var rules = RetentionRules()
    rules.keepLast = 1
    return rules
  }()

  /// Three snapshots, each of contents that no other has.
  private func fixture() throws -> WorkflowFixture {
    let fixture = try WorkflowFixture()
    var random = SeededGenerator(seed: 3)
    for _ in 0..<3 {
      try fixture.write("a", Hex.encode(random.bytes(50_000)))
      try fixture.backUp()
    }
    return fixture
  }

  private func thorough(_ rules: RetentionRules = keepLast) -> RotationWorkflow {
    var workflow = RotationWorkflow(rules)
    workflow.prune = thoroughPrune
    return workflow
  }

  @Test func aRotationShowsAndAsksBeforeItRemovesAndThenPrunes() throws {
    let fixture = try fixture()
    let onlooker = Onlooker()
    onlooker.stepIn = { _ in
      let count = try fixture.snapshots.count
      #expect(count == 3)
    }
    let result = try thorough().run(fixture.open(), onlooker.interaction)
    #expect(onlooker.events == ["present", "confirm", "prune", "end of prune"])
    #expect(result.decisions.map(\.isKept) == [false, false, true])
    #expect(try #require(result.pruned).packsDeleted > 0)
    #expect(try fixture.snapshots.count == 1)
    #expect(try fixture.findings() == [])
  }

  @Test func aRotationThatIsAnsweredWithNoRemovesNothingAndPrunesNothing() throws {
    let fixture = try fixture()
    let onlooker = Onlooker()
    onlooker.answer = false
    #expect(errorCode { _ = try thorough().run(fixture.open(), onlooker.interaction) } == .interrupted)
    #expect(onlooker.events == ["present", "confirm"])
    #expect(try fixture.snapshots.count == 3)
  }

  @Test func whereARecordIsMissingNothingIsShownAskedOrRemoved() throws {
    let fixture = try fixture()
    let snapshots = try SnapshotCatalog(fixture.open()).snapshots
    try fixture.store.delete(.snapshot(snapshots[1].id))
    let onlooker = Onlooker()
    #expect(errorCode { _ = try thorough().run(fixture.open(), onlooker.interaction) } == .damaged)
    let removal = RemovalWorkflow([snapshots[0].record.name])
    #expect(errorCode { _ = try removal.run(fixture.open(), onlooker.interaction) } == .damaged)
    #expect(onlooker.events == [])
    #expect(try fixture.snapshots.count == 2)
  }

  @Test func aRotationThatIsInterruptedBeforeItRemovesChangesNothing() throws {
    let fixture = try fixture()
    let onlooker = Onlooker()
    onlooker.stopsAt = "present"
    #expect(errorCode { _ = try thorough().run(fixture.open(), onlooker.interaction) } == .interrupted)
    #expect(try fixture.snapshots.count == 3)
  }

  @Test func aRotationThatIsInterruptedWhileItPrunesLeavesAWholeRepository() throws {
    let fixture = try fixture()
    let onlooker = Onlooker()
    onlooker.stopsAt = "prune"
    #expect(throws: Stopped.self) { try thorough().run(fixture.open(), onlooker.interaction) }
    #expect(try fixture.snapshots.count == 1)
    #expect(try fixture.findings() == [])
    #expect(try fixture.leases == 0)
    _ = try thoroughPrune.run(fixture.open(), Interaction())
    #expect(try fixture.findings() == [])
  }

  @Test func aRotationWhosePruneIsRefusedHasRemovedAndLeavesTheSpaceToALaterOne() throws {
    let fixture = try fixture()
    let other = try #require(try Lease.take(fixture.open(), .reclaim))
    #expect(errorCode { _ = try thorough().run(fixture.open(), Interaction()) } == .busy)
    #expect(try fixture.snapshots.count == 1)
    other.release()
    #expect(try thoroughPrune.run(fixture.open(), Interaction()).packsDeleted > 0)
    #expect(try fixture.findings() == [])
  }

  @Test func aRotationWithoutPruneGivesBackNoSpace() throws {
    let fixture = try fixture()
    let onlooker = Onlooker()
    var workflow = thorough()
    workflow.prune = nil
    #expect(try workflow.run(fixture.open(), onlooker.interaction).pruned == nil)
    #expect(onlooker.events == ["present", "confirm"])
  }

  @Test func aDryRunOfARotationSaysWhatAPruneWouldFreeAndChangesNothing() throws {
    let fixture = try fixture()
    let onlooker = Onlooker()
    var workflow = thorough()
    workflow.isDryRun = true
    let result = try workflow.run(fixture.open(), onlooker.interaction)
    #expect(onlooker.events == ["present", "prune", "end of prune"])
    #expect(try #require(result.pruned).bytesFreed > 0)
    #expect(try fixture.snapshots.count == 3)
  }

  @Test func rulesThatKeepNothingAreRefusedBeforeAnythingIsShown() throws {
    let fixture = try fixture()
    let onlooker = Onlooker()
    var rules = RetentionRules()
    rules.keepLast = 0
    #expect(errorCode { _ = try thorough(rules).run(fixture.open(), onlooker.interaction) } == .usage)
    #expect(onlooker.events == [])
    #expect(try fixture.snapshots.count == 3)
  }

  @Test func aTagThatNoSnapshotHasIsWarnedOf() throws {
    let fixture = try fixture()
    try fixture.backUp { $0.tags = ["weekly"] }
    let onlooker = Onlooker()
    var rules = Self.keepLast
    rules.keepTags = ["weekly", "wekly"]
    _ = try thorough(rules).run(fixture.open(), onlooker.interaction)
    #expect(onlooker.warnings.count == 1)
    #expect(try #require(onlooker.warnings.first).contains("wekly keeps nothing"))
  }

  // MARK: Removal by name

  @Test func aRemovalShowsAsksRemovesAndThenPrunes() throws {
    let fixture = try fixture()
    let onlooker = Onlooker()
    var workflow = RemovalWorkflow([try fixture.snapshots[0].record.name])
    workflow.prune = thoroughPrune
    let result = try workflow.run(fixture.open(), onlooker.interaction)
    #expect(onlooker.events == ["present", "confirm", "prune", "end of prune"])
    #expect(result.removed.count == 1 && result.pruned != nil)
    #expect(try fixture.snapshots.count == 2)
    #expect(try fixture.findings() == [])
  }

  @Test func aRemovalOfWhatRotationWouldKeepIsShownAndRefusedWithoutAQuestion() throws {
    let fixture = try fixture()
    let onlooker = Onlooker()
    var workflow = RemovalWorkflow(try fixture.snapshots.map(\.record.name))
    #expect(errorCode { _ = try workflow.run(fixture.open(), onlooker.interaction) } == .failed)
    #expect(onlooker.events == ["present"])
    #expect(try fixture.snapshots.count == 3)
    workflow.isForced = true
    _ = try workflow.run(fixture.open(), onlooker.interaction)
    #expect(try fixture.snapshots.isEmpty)
  }

  @Test(arguments: [true, false])
  func aRemovalThatIsAnsweredWithNoOrInterruptedRemovesNothing(isInterrupted: Bool) throws {
    let fixture = try fixture()
    let onlooker = Onlooker()
    onlooker.answer = isInterrupted
    onlooker.stopsAt = isInterrupted ? "confirm" : nil
    let workflow = RemovalWorkflow([try fixture.snapshots[0].record.name])
    #expect(errorCode { _ = try workflow.run(fixture.open(), onlooker.interaction) } == .interrupted)
    #expect(onlooker.events == ["present", "confirm"])
    #expect(try fixture.snapshots.count == 3)
  }
}
