import ChunkCodec
import SnapshotWriting
import FileBackup
import Maintenance
import Platform
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing
import Workflows

@Suite struct StatusWorkflowTests {
  private func warnings(
    _ fixture: WorkflowFixture, host: String = "own", daysLater: Int64 = 0
  ) throws -> [String] {
    var workflow = StatusWorkflow()
    workflow.host = host
    workflow.time = Timestamp(seconds: Timestamp.now().seconds + daysLater * 86400 + 60)
    return try workflow.run(fixture.open()).warnings
  }

  /// Of the host `own`, and of another one.
  private func fixture() throws -> WorkflowFixture {
    let fixture = try WorkflowFixture()
    try fixture.write("a", "text")
    for host in ["own", "other"] { try fixture.backUp { $0.host = host } }
    return fixture
  }

  @Test func aRepositoryWithoutSnapshotsIsWarnedOf() throws {
    #expect(try warnings(WorkflowFixture()) == ["There are no snapshots yet."])
  }

  @Test func freshSnapshotsAreNotWarnedOf() throws {
    let fixture = try fixture()
    #expect(try warnings(fixture) == [])
    #expect(try warnings(fixture, daysLater: 1) == [])
  }

  @Test func aLateSnapshotOfTheOwnHostIsWarnedOfAndNoneOfAnother() throws {
    let late = try warnings(fixture(), daysLater: 3)
    #expect(late.count == 1)
    #expect(try #require(late.first).hasPrefix("The last snapshot of the host own, plan default, is 3 days old ("))
  }

  @Test func aHostWithoutSnapshotsLooksAfterAll() throws {
    #expect(try warnings(fixture(), host: "new", daysLater: 3).count == 2)
  }

  @Test func aRecordThatIsDamagedIsWarnedOf() throws {
    let fixture = try fixture()
    let record = "\(fixture.folder)/repository/snapshots/\(try fixture.snapshots[0].id.hex)"
    removeTree(record)
    try writeFile(record, [1, 2, 3])
    #expect(try warnings(fixture) == ["1 snapshot records or notes are unusable; run \"yester verify\"."])
  }

  /// It cannot have opened anything.
  @Test func aWriteOnlyKeysWordThatAllIsVerifiedIsNone() throws {
    let fixture = try fixture()
    let writer = try fixture.open(by: fixture.addWriteOnlyKey())
    let snapshots = try SnapshotCatalog(fixture.open()).snapshots
    var note = NoteRecord(
      kind: .verified, time: .now(),
      subjects: snapshots.map { NoteRecord.Subject(snapshot: $0.id, writer: $0.envelope.writer, sequence: 1) })
    note.level = "data"
    try writer.store(note, after: SnapshotCatalog(writer))
    var status = try StatusWorkflow().run(fixture.open()).status
    #expect(status.lastVerification == nil)
    #expect(status.plans.allSatisfy { $0.last.verified == nil })
    _ = try fixture.findings()
    status = try StatusWorkflow().run(fixture.open()).status
    #expect(status.lastVerification?.writer == (try fixture.open().keyring.writer.publicKey))
  }

  /// A run whose clock was wrong must not hide that none has come since.
  @Test func aSnapshotFromTheFutureIsNotTheLast() throws {
    let fixture = try fixture()
    let repository = try fixture.open()
    let last = try #require(try SnapshotCatalog(repository).snapshots.first { $0.record.host == "own" })
    var record = last.record
    record.start = Timestamp(seconds: 3_786_912_000)
    record.end = record.start
    record.name = "20900101_0000"
    _ = try repository.store(&record, after: SnapshotCatalog(repository))
    #expect(try warnings(fixture, daysLater: 3).count == 1)
    #expect(try StatusWorkflow().run(fixture.open()).status.plans.first { $0.host == "own" }?.last.id == last.id)
  }

  @Test func agesAreSaidInTheLargestUnitThatFits() {
    let ages: [Int64] = [0, 1, 59, 60, 3599, 3600, 86399, 86400, 200_000]
    let words = ages.map { StatusWorkflow.words($0) }
    let expected = [
      "0 seconds", "1 second", "59 seconds", "1 minute", "59 minutes", "1 hour", "23 hours", "1 day", "2 days",
    ]
    #expect(words == expected)
  }
}
