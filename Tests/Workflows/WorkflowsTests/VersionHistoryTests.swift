import ChunkCodec
import DirectoryStores
import Exploring
import FileBackup
import Glibc
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import SnapshotTree
import TestSupport
import Testing

/// Versions, comparison and search, compared with walking every snapshot and comparing entry by entry.
@Suite struct VersionHistoryTests {
  /// A repository with snapshots of one directory of several thousand files, so that its listing has many leaves.
  private final class Fixture {
    private let temporary: TemporaryDirectory
    let repository: Repository
    private(set) var readers: [SnapshotReader] = []
    private var generator = SystemRandomNumberGenerator()

    init() throws {
      temporary = try TemporaryDirectory()
      let folder = temporary.path
      try Directory.makeAll(folder + "/tree/many/below")
      let secret = Secret.keyFile(System.random(32))
      let store = try DirectoryStore.create(folder + "/repository")
      _ = try Repository.create(in: store, secret: secret, label: "test")
      repository = try Repository.open(store, secret: secret, folders: testFolders)
      for number in 0..<3000 { try write("many/f\(number)", "") }
      try write("many/below/deep", "1")
      try backUp()
      for round in 1...4 {
        for _ in 0..<5 {
          try write("many/f\(Int.random(in: 0..<3000, using: &generator))", "round \(round)")
          try? FileSystem.removeFile(path("many/f\(Int.random(in: 0..<3000, using: &generator))"), at: nil)
          try write("many/new\(round)-\(Int.random(in: 0..<9999, using: &generator))", "")
        }
        if round == 2 { try FileSystem.removeFile(path("many/below/deep"), at: nil) }
        if round == 3 { try write("many/below/deep", "2") }
        try backUp()
      }
    }

    deinit { removeTree(repository.cacheDirectory) }

    func path(_ relative: String) -> [UInt8] { Array("\(temporary.path)/tree/\(relative)".utf8) }

    private func write(_ relative: String, _ text: String) throws {
      try Descriptor.open(path(relative), O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644).write(Array(text.utf8))
    }

    private func backUp() throws {
      var options = BackupOptions()
      options.sources = [temporary.path + "/tree"]
      _ = try Backup.run(repository, options, progress: RunProgress()) { _ in }
      try repository.index.refresh()
      let tree = readers.first?.tree ?? TreeStore(reader: repository.reader)
      readers = try SnapshotCatalog(repository).snapshots.map { SnapshotReader($0, tree: tree) }
    }

    /// All entries of a snapshot by path.
    func entries(_ reader: SnapshotReader) throws -> [[UInt8]: Entry] {
      var out: [[UInt8]: Entry] = [:]
      try reader.walk(from: reader.root) { node, path in
        out[path] = node.entry
        return true
      }
      return out
    }
  }

  @Test func findsWhatWalkingFinds() throws {
    let fixture = try Fixture()
    let all = try fixture.readers.map { try fixture.entries($0) }
    #expect(all.count == 5)
    try checkComparison(fixture, all)
    try checkSearch(fixture, all)
    try checkVersions(fixture, all)
  }

  private func checkComparison(_ fixture: Fixture, _ all: [[[UInt8]: Entry]]) throws {
    for (a, b) in [(0, 1), (0, 4), (3, 2), (2, 2)] {
      var found: [[UInt8]: Difference.Kind] = [:]
      let comparison = SnapshotComparison(
        SnapshotLocation(fixture.readers[a]), SnapshotLocation(fixture.readers[b]), stop: CancellationFlag())
      let counts = try comparison.run { found[$0.path] = $0.kind }
      var expected: [[UInt8]: Difference.Kind] = [:]
      for (path, entry) in all[a] {
        guard let other = all[b][path] else {
          expected[path] = .removed
          continue
        }
        if entry.isDirectory { continue }
        if !entry.hasSameContent(as: other) {
          expected[path] = .modified
        } else if entry.modified != other.modified {
          expected[path] = .metadata
        }
      }
      for path in all[b].keys where all[a][path] == nil { expected[path] = .added }
      #expect(found == expected)
      #expect(counts.total == UInt64(expected.count))
    }
  }

  private func checkSearch(_ fixture: Fixture, _ all: [[[UInt8]: Entry]]) throws {
    var found: [[UInt8]: SnapshotSet] = [:]
    let search = SnapshotSearch(try FindPattern("[fdn]*"), types: [.file], stop: CancellationFlag())
    try search.run(fixture.readers.map { SnapshotLocation($0) }) { match in
      #expect(found[match.path] == nil)
      var snapshots = SnapshotSet()
      for version in match.versions { snapshots.formUnion(version.snapshots) }
      found[match.path] = snapshots
    }
    var expected: [[UInt8]: SnapshotSet] = [:]
    for (index, entries) in all.enumerated() {
      for (path, entry) in entries where entry.type == .file { expected[path, default: SnapshotSet()].insert(index) }
    }
    #expect(found == expected)
  }

  private func checkVersions(_ fixture: Fixture, _ all: [[[UInt8]: Entry]]) throws {
    let deep = Array(fixture.path("many/below/deep").dropFirst())
    let history = try VersionHistory(of: deep, in: fixture.readers)
    #expect(history.runs.map(\.readers) == [[0, 1], [2], [3, 4]])
    #expect(history.runs.map { $0.node != nil } == [true, false, true])
    #expect(history.versions.map(\.reader) == [0, 3])
    // A path beside the sources is in no snapshot, and its absence says nothing.
    #expect(try VersionHistory(of: Array("etc/hosts".utf8), in: fixture.readers).runs.isEmpty)
    let never = try VersionHistory(of: deep + [0x78], in: fixture.readers)
    #expect(never.versions.isEmpty)
    #expect(never.runs.map(\.readers) == [[0, 1, 2, 3, 4]])
  }
}
