// The order of safety of a rollback: compare, prove, ask, make a restore point, and only then change anything.
import SnapshotWriting
import FileBackup
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import Restoring
import TestSupport
import Testing
import Workflows

@Suite struct RollbackWorkflowTests {
  /// Files that are other than in the one snapshot that there is: changed, missing, and new.
  private struct Changed {
    let fixture: WorkflowFixture
    let before: [String: String]
    let now: [String: String]
    let workflow: RollbackWorkflow

    init() throws {
      fixture = try WorkflowFixture()
      var random = SeededGenerator(seed: 1)
      let large = Hex.encode(random.bytes(1 << 20))
      try fixture.write("large", large)
      try fixture.write("changed", "old")
      before = try fixture.content
      let snapshot = try fixture.backUp()
      removeTree(fixture.files + "/large")
      try fixture.write("changed", "new text")
      try fixture.write("added", "added")
      now = try fixture.content
      workflow = RollbackWorkflow(snapshot: snapshot, path: fixture.files)
    }

    func requireNothingChanged() throws {
      #expect(try fixture.content == now)
      #expect(try fixture.snapshots.count == 1)
      #expect(try fixture.leases == 0)
    }
  }

  private static let wholeOrder = [
    "compare", "end of compare", "present", "confirm", "makeRestorePoint", "end of makeRestorePoint", "restore point",
    "rollBack", "end of rollBack",
  ]

  @Test func aRollbackShowsAsksAndMakesARestorePointBeforeItChangesAnything() throws {
    let changed = try Changed()
    let onlooker = Onlooker()
    onlooker.stepIn = { _ in
      let (content, count) = (try changed.fixture.content, try changed.fixture.snapshots.count)
      #expect(content == changed.now)
      #expect(count == 1)
    }
    let result = try changed.workflow.run(changed.fixture.open(), onlooker.interaction)
    #expect(onlooker.events == Self.wholeOrder)
    #expect(try changed.fixture.content == changed.before)
    #expect(result.failure == nil)
    #expect(result.outcome?.failures == 0)
    #expect(try changed.fixture.snapshots.map(\.record.kind) == [.daily, .restorePoint])
    #expect(try changed.fixture.leases == 0)
  }

  @Test func aRestorePointBringsBackWhatWasThereBeforeTheRollback() throws {
    let changed = try Changed()
    let result = try changed.workflow.run(changed.fixture.open(), Interaction())
    let point = try #require(result.restorePoint)
    let undo = RollbackWorkflow(snapshot: point.record.name, path: changed.fixture.files)
    _ = try undo.run(changed.fixture.open(), Interaction())
    #expect(try changed.fixture.content == changed.now)
  }

  @Test func aRollbackWhoseProofFailsChangesNothingAndTakesNoRestorePoint() throws {
    let changed = try Changed()
    try changed.fixture.damageContents()
    var trial = changed.workflow
    trial.isDryRun = true
    // The comparison does not see the damage: the proof does.
    _ = try trial.run(changed.fixture.open(), Interaction())
    let onlooker = Onlooker()
    #expect(errorCode { _ = try changed.workflow.run(changed.fixture.open(), onlooker.interaction) } == .damaged)
    #expect(onlooker.events == ["compare", "end of compare"])
    try changed.requireNothingChanged()
  }

  @Test func aRollbackWhoseRestorePointFailsChangesNothing() throws {
    let changed = try Changed()
    let onlooker = Onlooker()
    onlooker.stepIn = { _ in try changed.fixture.refuseUploads() }
    #expect(throws: YesterError.self) { try changed.workflow.run(changed.fixture.open(), onlooker.interaction) }
    #expect(onlooker.events == Array(Self.wholeOrder.dropLast(3)))
    #expect(try changed.fixture.content == changed.now)
    #expect(try changed.fixture.snapshots.count == 1)
  }

  @Test func aRollbackThatIsAnsweredWithNoChangesNothing() throws {
    let changed = try Changed()
    let onlooker = Onlooker()
    onlooker.answer = false
    #expect(errorCode { _ = try changed.workflow.run(changed.fixture.open(), onlooker.interaction) } == .interrupted)
    #expect(onlooker.events == Array(Self.wholeOrder.prefix(4)))
    try changed.requireNothingChanged()
  }

  @Test func aRollbackWhoseQuestionFailsChangesNothing() throws {
    let changed = try Changed()
    let onlooker = Onlooker()
    onlooker.stepIn = { _ in throw YesterError(.failed, "there is nobody to ask") }
    #expect(errorCode { _ = try changed.workflow.run(changed.fixture.open(), onlooker.interaction) } == .failed)
    try changed.requireNothingChanged()
  }

  @Test(arguments: ["compare", "present", "confirm", "makeRestorePoint"])
  func aRollbackThatIsInterruptedBeforeItsLastStepChangesNothing(event: String) throws {
    let changed = try Changed()
    let onlooker = Onlooker()
    onlooker.stopsAt = event
    #expect(throws: (any Error).self) { try changed.workflow.run(changed.fixture.open(), onlooker.interaction) }
    #expect(!onlooker.events.contains("rollBack"))
    try changed.requireNothingChanged()
  }

  @Test func aRollbackThatIsInterruptedInItsLastStepLeavesARestorePointAndCanGoOn() throws {
    let changed = try Changed()
    let onlooker = Onlooker()
    onlooker.stopsAt = "rollBack"
    #expect(throws: Stopped.self) { try changed.workflow.run(changed.fixture.open(), onlooker.interaction) }
    #expect(onlooker.events.contains("restore point"))
    #expect(try changed.fixture.snapshots.map(\.record.kind) == [.daily, .restorePoint])
    _ = try changed.workflow.run(changed.fixture.open(), Interaction())
    #expect(try changed.fixture.content == changed.before)
  }

  @Test func aDryRunShowsTheListAndAsksNothing() throws {
    let changed = try Changed()
    var workflow = changed.workflow
    workflow.isDryRun = true
    let onlooker = Onlooker()
    let result = try workflow.run(changed.fixture.open(), onlooker.interaction)
    #expect(onlooker.events == ["compare", "end of compare", "present"])
    #expect(result.outcome == nil && !result.plan.isEmpty)
    try changed.requireNothingChanged()
  }

  @Test func aRollbackOfWhatIsAsItWasAsksNothingAndMakesNoRestorePoint() throws {
    let fixture = try WorkflowFixture()
    try fixture.write("a", "same")
    let workflow = RollbackWorkflow(snapshot: try fixture.backUp(), path: fixture.files)
    let onlooker = Onlooker()
    let result = try workflow.run(fixture.open(), onlooker.interaction)
    #expect(onlooker.events == ["compare", "end of compare", "present"])
    #expect(result.plan.isEmpty && result.outcome == nil && result.restorePoint == nil)
    #expect(try fixture.snapshots.count == 1)
  }

  @Test func aRollbackThatOnlyMakesWhatIsMissingNeedsNoRestorePoint() throws {
    let fixture = try WorkflowFixture()
    try fixture.write("a", "text")
    let workflow = RollbackWorkflow(snapshot: try fixture.backUp(), path: fixture.files + "/a")
    removeTree(fixture.files + "/a")
    let result = try workflow.run(fixture.open(), Interaction())
    #expect(result.restorePoint == nil)
    #expect(try fixture.content == ["a": "text"])
  }

  @Test func aWriteOnlyKeyCannotRollBack() throws {
    let changed = try Changed()
    let onlooker = Onlooker()
    let repository = try changed.fixture.open(by: changed.fixture.addWriteOnlyKey())
    #expect(errorCode { _ = try changed.workflow.run(repository, onlooker.interaction) } == .wrongKey)
    #expect(onlooker.events == [])
    try changed.requireNothingChanged()
  }
}
