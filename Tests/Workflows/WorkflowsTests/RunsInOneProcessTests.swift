// A service makes backups and prunes in one process. Its runs are strangers to each other, as those of two programs are.
import RepositoryFormat
import ChunkCodec
import DirectoryStores
import FileBackup
import Glibc
import Maintenance
import Platform
import Reporting
import RepositoryCore
import SnapshotWriting
import TestSupport
import Testing

@Suite struct RunsInOneProcessTests {
  /// A repository, a tree to back up, and a second opening of the repository, as another job of the process has it.
  private final class Fixture: Sendable {
    private let temporary: TemporaryDirectory
    var folder: String { temporary.path }
    let store: DirectoryStore
    let secret = Secret.keyFile(System.random(32))
    let repository: Repository

    init() throws {
      temporary = try TemporaryDirectory()
      store = try DirectoryStore.create(temporary.path + "/repository")
      _ = try Repository.create(in: store, secret: secret, label: "test")
      repository = try Repository.open(store, secret: secret, folders: testFolders)
    }

    deinit { removeTree(repository.cacheDirectory) }

    func open() throws -> Repository { try Repository.open(store, secret: secret, folders: testFolders) }

    /// Makes `count` files in `name`, of contents that only the seed decides: what was removed comes back.
    func fill(_ name: String, seed: UInt64, count: Int = 40) throws {
      var random = SeededGenerator(seed: seed)
      try Directory.makeAll("\(folder)/\(name)")
      for number in 0..<count {
        let file = try Descriptor.open("\(folder)/\(name)/\(number)", O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        try file.write(random.bytes(3000))
      }
    }

    @discardableResult
    func backUp(_ name: String, _ repository: Repository? = nil) throws -> Backup.Result {
      var options = BackupOptions()
      options.sources = ["\(folder)/\(name)"]
      options.plan = name
      return try Backup.run(repository ?? open(), options, progress: RunProgress()) { _ in }
    }

    /// Removes all but the last snapshot of each plan, and prunes as thoroughly as can be.
    @discardableResult
    func rotateAndPrune() throws -> Prune.Result {
      let repository = try open()
      var rules = RetentionRules()
      rules.keepLast = 1
      let catalog = try SnapshotCatalog(repository)
      try Rotation.remove(
        Rotation.decide(catalog, host: nil, plan: nil, rules: rules, force: true), repository)
      return try prune(repository)
    }

    func prune(_ repository: Repository? = nil) throws -> Prune.Result {
      var options = Prune.Options()
      options.unusedMax = 0
      options.minimumAge = 0
      return try Prune.run(repository ?? open(), options, progress: RunProgress())
    }

    /// What is wrong with what is stored, read by somebody who knows nothing yet.
    func findings() throws -> [String] {
      let repository = try open()
      let catalog = try SnapshotCatalog(repository)
      let findings = Monitor<[String]>([])
      _ = try Verify.snapshots(repository, catalog, catalog.snapshots, .data, progress: RunProgress()) { finding in
        findings.withLock { $0.append(finding.message) }
      }
      return findings.withLock { $0 }
    }
  }

  @Test func aPruneDeletesNothingWhileABackupOfItsProcessRuns() throws {
    let fixture = try Fixture()
    try fixture.fill("a", seed: 1)
    try fixture.backUp("a")
    try fixture.fill("a", seed: 2)
    try fixture.backUp("a")
    let backup = try #require(try Lease.take(fixture.open(), .backup))
    let first = try fixture.rotateAndPrune()
    #expect(first.packsCondemned > 0)
    let second = try fixture.prune()
    #expect(first.packsDeleted == 0 && second.packsDeleted == 0)
    #expect(second.packsWaiting > 0)
    #expect(second.waitingFor.count == 1)
    backup.release()
    #expect(try fixture.prune().packsDeleted > 0)
    #expect(try fixture.findings() == [])
  }

  @Test func aMountOfTheProcessKeepsWhatItMaySee() throws {
    let fixture = try Fixture()
    try fixture.fill("a", seed: 1)
    try fixture.backUp("a")
    try fixture.fill("a", seed: 2)
    try fixture.backUp("a")
    let mount = try #require(try Lease.take(fixture.open(), .mount))
    try fixture.rotateAndPrune()
    #expect(try fixture.prune().packsDeleted == 0)
    mount.release()
    #expect(try fixture.prune().packsDeleted > 0)
  }

  @Test func oneOfTwoPrunesIsTurnedAway() throws {
    let fixture = try Fixture()
    let other = try #require(try Lease.take(fixture.open(), .reclaim))
    #expect { try fixture.prune() } throws: { ($0 as? YesterError)?.code == .busy }
    other.release()
    _ = try fixture.prune()
  }

  /// What is removed comes back with the next contents, so that backups build on packs that are being condemned.
  @Test func backupsAndPrunesBesideEachOtherLoseNothing() throws {
    let fixture = try Fixture()
    // Beside the very first backup a prune refuses: it cannot know why there is no snapshot.
    try fixture.fill("first", seed: 9)
    try fixture.backUp("first")
    let failures = Monitor<[String]>([])
    let running = Monitor(2)
    @Sendable func work(_ name: String, _ body: () throws -> Void) {
      do {
        try body()
      } catch {
        failures.withLock { $0.append("\(name): \(error)") }
      }
    }
    let writers = try ["a", "b"].map { name in
      try Worker("test-\(name)") {
        work(name) {
          for round in 0..<12 {
            try fixture.fill(name, seed: UInt64(round % 3) * 2 + (name == "a" ? 0 : 1))
            try fixture.backUp(name)
          }
        }
        running.update { $0 -= 1 }
      }
    }
    let pruner = try Worker("test-prune") {
      work("prune") { while running.withLock({ $0 }) > 0 { try fixture.rotateAndPrune() } }
    }
    for worker in writers + [pruner] { worker.join() }
    #expect(failures.withLock { $0 } == [])
    #expect(try fixture.findings() == [])
    try fixture.rotateAndPrune()
    let last = try fixture.prune()
    #expect(last.packsWaiting == 0)
    #expect(try fixture.findings() == [])
  }
}
