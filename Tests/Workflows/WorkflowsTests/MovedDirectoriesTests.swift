// Directories of a deep tree that somebody moves away while it is walked: what is open only for so many levels must not
// lead out of the tree.
import ChunkCodec
import DirectoryStores
import Exploring
import FileBackup
import Glibc
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import Restoring
import SnapshotTree
import TestSupport
import Testing

@Suite struct MovedDirectoriesTests {
  /// Beyond the number of directories that are open at once.
  private static let depth = 300

  /// A snapshot of directories `d` in each other, the innermost with a file in it.
  private final class Fixture {
    private let temporary: TemporaryDirectory
    var folder: String { temporary.path }
    let repository: Repository
    let reader: SnapshotReader

    var source: String { folder + "/source" }
    func path(_ depth: Int, in top: String) -> String { top + String(repeating: "/d", count: depth) }

    init() throws {
      temporary = try TemporaryDirectory()
      let folder = temporary.path
      let store = try DirectoryStore.create(folder + "/repository")
      let secret = Secret.keyFile(System.random(32))
      _ = try Repository.create(in: store, secret: secret, label: "test")
      repository = try Repository.open(store, secret: secret, folders: testFolders)
      let innermost = folder + "/source" + String(repeating: "/d", count: MovedDirectoriesTests.depth)
      try Directory.makeAll(innermost)
      _ = try Descriptor.open(innermost + "/file", O_WRONLY | O_CREAT, mode: 0o600)
      var options = BackupOptions()
      options.sources = [folder + "/source"]
      _ = try Backup.run(repository, options, progress: RunProgress()) { _ in }
      let catalog = try SnapshotCatalog(repository)
      reader = SnapshotReader(try #require(catalog.snapshots.last), tree: TreeStore(reader: repository.reader))
    }

    deinit { removeTree(repository.cacheDirectory) }

    func location() throws -> SnapshotLocation {
      try Explorer(repository, purpose: "compare", takesLease: false)
        .locate(SnapshotSelector("latest:" + source), host: reader.snapshot.record.host)
    }

    /// Moves the directory at a depth to another one.
    func moveAway(_ depth: Int, of top: String) throws {
      try Directory.makeAll(folder + "/elsewhere")
      try FileSystem.rename(path(depth, in: top).pathBytes, at: nil, to: (folder + "/elsewhere/d").pathBytes, at: nil)
    }
  }

  private func lost(_ doing: String, _ body: () throws -> Void) {
    do {
      try body()
      Issue.record("nobody noticed that a directory was moved")
    } catch let error as YesterError {
      #expect(error.message.contains("was moved while it was \(doing)"))
    } catch {
      Issue.record("another error: \(error)")
    }
  }

  @Test func aRestoreDoesNotGoOnInADirectoryThatIsNotItsOwn() throws {
    let fixture = try Fixture()
    let target = fixture.folder + "/target"
    let prepared = try Restore.prepare(
      fixture.reader, path: fixture.source.pathBytes, into: target, Restore.Options(), progress: RunProgress())
    var hasMoved = false
    let listing = EntryListing(isComplete: false) { _ in
      if !hasMoved { try? fixture.moveAway(20, of: target) }
      hasMoved = true
    }
    lost("restored") {
      _ = try Restore.carryOut(prepared, progress: RunProgress(), listing: listing) { _ in }
    }
    #expect(hasMoved)
  }

  @Test func aComparisonDoesNotGoOnInADirectoryThatIsNotItsOwn() throws {
    let fixture = try Fixture()
    let location = try fixture.location()
    _ = try Descriptor.open(
      fixture.path(Self.depth, in: fixture.source) + "/new", O_WRONLY | O_CREAT, mode: 0o600)
    let comparison = LiveComparison(location, of: fixture.repository, stop: CancellationFlag()) { _ in }
    var hasMoved = false
    lost("compared") {
      _ = try comparison.run(fixture.source.pathBytes) { _ in
        if !hasMoved { try fixture.moveAway(20, of: fixture.source) }
        hasMoved = true
      }
    }
    #expect(hasMoved)
  }
}
