// A snapshot that is verified through a mount is marked only when everything came out right, and stays in any case.
import SnapshotWriting
import FileBackup
import Maintenance
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing
import Workflows

@Suite struct BackupWorkflowTests {
  private func options(_ fixture: WorkflowFixture) throws -> BackupOptions {
    try fixture.write("a", "text")
    try fixture.write("b", "more text")
    var options = BackupOptions()
    options.sources = [fixture.files]
    return options
  }

  /// A mount made by hand: the last snapshot, restored into a directory of its name.
  private func mounting(
    _ fixture: WorkflowFixture, meddling: @escaping (String) throws -> Void = { _ in }
  ) -> BackupWorkflow.Mounting {
    { host, body in
      let name = try #require(try fixture.snapshots.last).record.name
      let shown = "\(fixture.folder)/mount/\(name)"
      var restore = RestoreWorkflow(source: name, destination: shown)
      restore.host = host
      _ = try restore.run(fixture.open(), Interaction())
      try meddling(shown + fixture.files)
      try body(fixture.folder + "/mount")
    }
  }

  @Test func aBackupMakesASnapshotThatNamesTheProgram() throws {
    let fixture = try WorkflowFixture()
    let onlooker = Onlooker()
    let result = try BackupWorkflow(options(fixture)).run(fixture.open(), onlooker.interaction)
    #expect(onlooker.events == ["backUp", "end of backUp"])
    #expect(result.failure == nil && result.verification == nil)
    #expect(try fixture.snapshots.map(\.record.program) == [ProgramVersion.text])
    #expect(try fixture.snapshots.map { $0.verified == nil } == [true])
  }

  @Test func aBackupThatReadsBackRightIsMarkedAsVerified() throws {
    let fixture = try WorkflowFixture()
    let onlooker = Onlooker()
    let workflow = BackupWorkflow(try options(fixture), verification: mounting(fixture))
    let result = try workflow.run(fixture.open(), onlooker.interaction)
    #expect(onlooker.events == ["backUp", "end of backUp", "verify", "end of verify"])
    #expect(result.failure == nil)
    #expect(result.verification?.files == 2)
    #expect(try fixture.snapshots.map { $0.verified?.level } == ["mount"])
  }

  @Test func aBackupThatReadsBackWrongStaysAndIsNotMarked() throws {
    let fixture = try WorkflowFixture()
    let wrong = mounting(fixture) { try writeFile($0 + "/a", Array("tExt".utf8)) }
    let result = try BackupWorkflow(options(fixture), verification: wrong).run(fixture.open(), Interaction())
    #expect(result.failure?.code == .damaged)
    #expect(result.verification?.findings.count == 1)
    #expect(try fixture.snapshots.map { $0.verified == nil } == [true])
  }

  @Test func aBackupWhoseMountFailsStaysAndIsNotMarked() throws {
    let fixture = try WorkflowFixture()
    let failing: BackupWorkflow.Mounting = { _, _ in throw YesterError(.failed, "no mount today") }
    let workflow = BackupWorkflow(try options(fixture), verification: failing)
    #expect(errorMessage { _ = try workflow.run(fixture.open(), Interaction()) } == "no mount today.")
    #expect(try fixture.snapshots.map { $0.verified == nil } == [true])
  }

  @Test func aBackupThatNobodyLookedAtIsNotMarked() throws {
    let fixture = try WorkflowFixture()
    let workflow = BackupWorkflow(try options(fixture), verification: { _, _ in })
    #expect(errorCode { _ = try workflow.run(fixture.open(), Interaction()) } == .failed)
    #expect(try fixture.snapshots.map { $0.verified == nil } == [true])
  }

  @Test func aVerificationThatIsInterruptedMarksNothing() throws {
    let fixture = try WorkflowFixture()
    let onlooker = Onlooker()
    onlooker.stopsAt = "verify"
    let workflow = BackupWorkflow(try options(fixture), verification: mounting(fixture))
    #expect(throws: Stopped.self) { try workflow.run(fixture.open(), onlooker.interaction) }
    #expect(try fixture.snapshots.map { $0.verified == nil } == [true])
    #expect(try fixture.leases == 0)
  }

  @Test func aBackupThatIsInterruptedMakesNoSnapshot() throws {
    let fixture = try WorkflowFixture()
    let onlooker = Onlooker()
    onlooker.stopsAt = "backUp"
    #expect(throws: Stopped.self) { try BackupWorkflow(options(fixture)).run(fixture.open(), onlooker.interaction) }
    #expect(try fixture.snapshots.isEmpty)
    #expect(try fixture.leases == 0)
  }

  @Test func aKeyThatCannotReadIsRefusedAVerificationBeforeAnythingIsStored() throws {
    let fixture = try WorkflowFixture()
    let repository = try fixture.open(by: fixture.addWriteOnlyKey())
    let workflow = BackupWorkflow(try options(fixture), verification: mounting(fixture))
    #expect(errorCode { _ = try workflow.run(repository, Interaction()) } == .wrongKey)
    #expect(try fixture.snapshots.isEmpty)
  }

  @Test func aSourceThatIsMissingIsReportedAndMakesTheBackupIncomplete() throws {
    let fixture = try WorkflowFixture()
    let onlooker = Onlooker()
    var options = try options(fixture)
    options.sources.append(fixture.folder + "/missing")
    let result = try BackupWorkflow(options).run(fixture.open(), onlooker.interaction)
    #expect(result.failure?.code == .incomplete)
    #expect(onlooker.events.contains("report"))
    #expect(try fixture.snapshots.count == 1)
  }

  @Test func theRepositoryIsNotBackedUpIntoItself() throws {
    let fixture = try WorkflowFixture()
    var options = try options(fixture)
    options.sources = [fixture.folder]
    let result = try BackupWorkflow(options).run(fixture.open(), Interaction())
    #expect(result.backup.record.counts.files == 2)
  }
}
