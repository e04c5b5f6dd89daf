import ChunkCodec
import Maintenance
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import SnapshotTree
import TestSupport
import Testing

/// Snapshots that are well formed and sealed, and that no source looks like: verification names them, and ends.
@Suite struct HostileSnapshotTests {
  private let test: TestRepository
  private let repository: Repository

  init() throws {
    test = try TestRepository()
    repository = try test.open()
  }

  private func findings() throws -> [String] {
    let findings = Monitor<[String]>([])
    let catalog = try repository.readCatalog(trustingCache: false)
    let (_, sound) = try Verify.snapshots(
      repository, catalog, catalog.snapshots, .structure, progress: RunProgress()
    ) { found in findings.update { $0.append(found.message) } }
    let messages = findings.withLock { $0 }
    #expect((sound.count == catalog.snapshots.count) == messages.isEmpty)
    return messages
  }

  /// A tree of `levels` directories in each other, each of which is there twice.
  private func doubling(_ levels: Int, _ innermost: [Entry] = []) throws -> SnapshotRecord {
    let writer = try ChunkWriter(repository)
    defer { writer.close() }
    var listing = ObjectID.zero
    var below: UInt64 = 0
    for level in 0..<levels {
      var leaf = LeafBuilder()
      if level == 0 {
        for entry in innermost { leaf.append(entry) }
      } else {
        for name in ["a", "b"] { leaf.append(entry(name, .directory(below: below, listing: listing))) }
      }
      below = leaf.total
      let bytes = leaf.finish()
      let id = repository.chunkID(of: bytes, .tree)
      try bytes.withUnsafeBytes { _ = try writer.add(id, kind: .tree, $0) }
      listing = id
    }
    try writer.flush()
    var record = snapshotRecord(1)
    record.root.body = .directory(below: below, listing: listing)
    record.counts.entries = below + 1
    return record
  }

  @Test(.timeLimit(.minutes(1))) func aFewListingsThatClaimBillionsAreNamed() throws {
    var record = try doubling(31, [entry("f", .fifo)])
    #expect(record.root.below > 2_000_000_000)
    _ = try repository.store(&record, after: SnapshotCatalog(repository))
    let found = try findings()
    #expect(found.count == 1)
    #expect(found.first?.contains("\(record.root.below + 1) entries") == true)
  }

  /// A listing that is unsound is not gone through once for each of its places.
  @Test(.timeLimit(.minutes(1))) func aFewUnsoundListingsKeepNobodyBusy() throws {
    let lost = entry("f", .file(size: 5, content: .single(SHA256.hash([1]))))
    var record = try doubling(31, [lost])
    _ = try repository.store(&record, after: SnapshotCatalog(repository))
    #expect(try !findings().isEmpty)
  }

  /// Directories that are one and the same, as in snapshots of a file system that are backed up together.
  @Test func honestSharingIsNoFinding() throws {
    var record = try doubling(8, [entry("f", .fifo)])
    _ = try repository.store(&record, after: SnapshotCatalog(repository))
    #expect(try findings() == [])
  }

  @Test func moreEntriesThanThereCanBeAreRefused() throws {
    #expect(throws: FormatError.self) { try SnapshotRecord(decoding: doubling(40).encode()) }
  }

  @Test func aRecordThatMiscountsItsEntriesIsNamed() throws {
    try repository.addSnapshot(1, of: [.file("a", "x")]) { $0.counts.entries = 7 }
    let found = try findings()
    #expect(found.count == 1 && found.first?.contains("counts 7 entries, its tree 2") == true)
  }

  // MARK: Link groups

  @Test func namesOfOneFileAgree() throws {
    try repository.addSnapshot(
      1, of: [.file("a", "x").linked(3), .directory("d", [.file("b", "x").linked(3), .fifo("p").linked(4)])])
    #expect(try findings() == [])
  }

  @Test(arguments: [
    TestEntry.file("z", "y"), .link("z", to: "x"), .fifo("z"), TestEntry.file("z", "x").with { $0.permissions = 0o600 },
    TestEntry.file("z", "x").with { $0.sourceInode = 9 },
  ])
  func aNameThatDisagreesIsNamed(other: TestEntry) throws {
    try repository.addSnapshot(1, of: [.file("a", "x").linked(3), other.linked(3)])
    let found = try findings()
    #expect(found.count == 1 && found.first?.contains("hard link") == true)
  }

  @Test func aDirectoryIsNoHardLink() throws {
    try repository.addSnapshot(1, of: [TestEntry.directory("d").linked(3)])
    #expect(try findings().count == 1)
  }

  /// The directory was found sound with an earlier snapshot, and is not walked again: its links are looked at all the
  /// same.
  @Test func aNameThatDisagreesWithASoundDirectoryIsNamed() throws {
    let directory = TestEntry.directory("d", [.directory("e", [.file("b", "x").linked(3)])])
    try repository.addSnapshot(1, of: [directory])
    try repository.addSnapshot(2, of: [.file("a", "x").linked(3), directory])
    #expect(try findings() == [])
    try repository.addSnapshot(3, of: [.link("a", to: "b").linked(3), directory])
    let found = try findings()
    #expect(found.count == 1 && found.first?.contains("hard link") == true)
  }
}
