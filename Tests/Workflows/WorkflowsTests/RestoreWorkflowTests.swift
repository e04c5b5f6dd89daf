import SnapshotWriting
import FileBackup
import Maintenance
import Platform
import Reporting
import RepositoryCore
import Restoring
import TestSupport
import Testing
import Workflows

@Suite struct RestoreWorkflowTests {
  private func fixture() throws -> WorkflowFixture {
    let fixture = try WorkflowFixture()
    var random = SeededGenerator(seed: 5)
    try fixture.write("a", "text")
    try fixture.write("large", Hex.encode(random.bytes(1 << 20)))
    try fixture.backUp()
    return fixture
  }

  private func workflow(_ fixture: WorkflowFixture) -> RestoreWorkflow {
    RestoreWorkflow(source: "latest:" + fixture.files, destination: fixture.folder + "/new/below")
  }

  private func isThere(_ path: String) -> Bool { (try? FileStatus(of: path)) != nil }

  @Test func aRestoreBringsAllBack() throws {
    let fixture = try fixture()
    let onlooker = Onlooker()
    let result = try workflow(fixture).run(fixture.open(), onlooker.interaction)
    #expect(onlooker.events == ["restore", "end of restore"])
    #expect(result.failure == nil)
    #expect(isThere(fixture.folder + "/new/below/a") && isThere(fixture.folder + "/new/below/large"))
    #expect(try fixture.leases == 0)
  }

  @Test func aDryRunOfARestoreLeavesNoDirectoryBehind() throws {
    let fixture = try fixture()
    var workflow = workflow(fixture)
    workflow.isDryRun = true
    let result = try workflow.run(fixture.open(), Interaction())
    #expect(result.plan.creates == 2 && result.outcome == nil)
    #expect(!isThere(fixture.folder + "/new"))
  }

  @Test func aRestoreFromADamagedRepositoryBringsTheRestBackAndSaysWhatItLacks() throws {
    let fixture = try fixture()
    try fixture.damageContents()
    let onlooker = Onlooker()
    let result = try workflow(fixture).run(fixture.open(), onlooker.interaction)
    #expect(result.failure?.code == .damaged)
    #expect(onlooker.events.contains("report"))
    #expect(try #require(result.outcome).failures > 0)
  }

  @Test func aRestoreThatIsInterruptedEndsAndGoesOnLater() throws {
    let fixture = try fixture()
    let onlooker = Onlooker()
    onlooker.stopsAt = "restore"
    #expect(throws: Stopped.self) { try workflow(fixture).run(fixture.open(), onlooker.interaction) }
    _ = try workflow(fixture).run(fixture.open(), Interaction())
    #expect(isThere(fixture.folder + "/new/below/large"))
  }

  @Test func aSnapshotOfAnotherHostIsTakenWithAWarning() throws {
    let fixture = try WorkflowFixture()
    try fixture.write("a", "text")
    try fixture.backUp { $0.host = "the-lost-machine" }
    let onlooker = Onlooker()
    _ = try workflow(fixture).run(fixture.open(), onlooker.interaction)
    #expect(try #require(onlooker.warnings.first).contains("of the host the-lost-machine is taken"))
  }

  @Test func aVerificationSaysWhatIsDamagedAndMarksWhatIsSound() throws {
    let fixture = try fixture()
    let sound = try VerificationWorkflow().run(on: fixture.store, fixture.open(), Interaction())
    #expect(sound.failure == nil && sound.level == .data)
    #expect(try fixture.snapshots.map { $0.verified?.level } == ["data"])
    try fixture.damageContents()
    let damaged = try VerificationWorkflow().run(on: fixture.store, fixture.open(), Interaction())
    #expect(damaged.failure?.code == .damaged && !damaged.findings.isEmpty)
  }

  @Test func aVerificationOfPacksNeedsNoKey() throws {
    let fixture = try fixture()
    let workflow = VerificationWorkflow(level: .packs)
    #expect(!workflow.needsKey)
    #expect(try workflow.run(on: fixture.store, nil, Interaction()).failure == nil)
    #expect(
      errorCode { _ = try VerificationWorkflow(level: .data).run(on: fixture.store, nil, Interaction()) } == .wrongKey)
  }
}
