// swift-format-ignore-file: NeverForceUnwrap, NeverUseForceTry
import RepositoryFormat
import ChunkCodec
import DirectoryStores
import Foundation
import Maintenance
import Platform
import Reporting
import RepositoryCore
import RepositoryOpening
import SnapshotTree
import TestSupport
import Testing

/// The repositories in Tests/Fixtures were made by the first yester of each format version. They must open for ever.
@Suite struct GoldenRepositoryTests {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
    .appending(path: "Fixtures/format-1").path

  /// A copy, since a repository that is worked with gets leases.
  private func withGolden(_ secret: Secret, _ body: (Repository) throws -> Void) throws {
    let work = FileManager.default.temporaryDirectory.appending(path: "golden-\(UUID())").path
    try FileManager.default.copyItem(atPath: Self.folder + "/repository", toPath: work)
    defer { try? FileManager.default.removeItem(atPath: work) }
    let folders = LocalFolders(caches: work + "-cache", memories: work + "-memory")
    defer {
      removeTree(folders.caches)
      removeTree(folders.memories)
    }
    let repository = try Repository.open(DirectoryStore(work), secret: secret, folders: folders)
    try repository.index.refresh()
    try body(repository)
  }

  private func keyFile() throws -> Secret { try RepositoryAccess.readKeyFile(Self.folder + "/key") }

  @Test func everySlotOpens() throws {
    try withGolden(keyFile()) { #expect($0.keyring.role == .full) }
    try withGolden(.password(Array("correct horse battery staple".utf8))) { #expect($0.keyring.role == .full) }
    let writeOnly = try RepositoryAccess.readKeyFile(Self.folder + "/write-only-key")
    try withGolden(writeOnly) { repository in
      #expect(repository.keyring.role == .writeOnly)
      #expect(throws: YesterError.self) { try repository.requireFullKey("read") }
    }
  }

  @Test func dataVerifies() throws {
    try withGolden(keyFile()) { repository in
      let catalog = try SnapshotCatalog(repository)
      #expect(catalog.damaged.isEmpty)
      var findings: [String] = []
      let (result, sound) = try Verify.snapshots(
        repository, catalog, catalog.snapshots, .data, progress: RunProgress(),
        report: { findings.append($0.message) })
      #expect(findings == [])
      #expect(sound.count == 2)
      #expect(result.chunks > 10)
    }
  }

  /// What is read equals what was written down when the fixture was made, byte for byte.
  @Test func contentIsAsExpected() throws {
    try withGolden(keyFile()) { repository in
      let text = try describe(repository)
      let path = Self.folder + "/expected.txt"
      if ProcessInfo.processInfo.environment["YESTER_WRITE_GOLDEN"] == "1" {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
      }
      let expected = try String(contentsOfFile: path, encoding: .utf8)
      #expect(text.count > 10_000)
      #expect(text == expected)
    }
  }

  private func describe(_ repository: Repository) throws -> String {
    var lines: [String] = []
    let tree = TreeStore(reader: repository.reader)
    for snapshot in try SnapshotCatalog(repository).snapshots {
      let r = snapshot.record
      lines.append(
        "snapshot \(r.name) \(r.host) \(r.plan) \(r.kind) \(r.type) \(r.summary) \(r.changeTicket) \(r.tags)")
      lines.append("counts \(r.counts)")
      let reader = SnapshotReader(snapshot, tree: tree)
      let content = FileContentReader(tree: tree, keySet: snapshot.keySet)
      try reader.walk(from: reader.root) { node, path in
        // Of the 1,500 files in one directory, some will do.
        if !path.contains(Array("/many/".utf8)) || node.number % 100 == 0 {
          lines.append(try line(node, path, content))
        }
        return true
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private func line(_ node: SnapshotNode, _ path: [UInt8], _ content: FileContentReader) throws -> String {
    let e = node.entry
    var out = "\(node.number) \(Hex.encode(path)) \(e.type) \(String(e.permissions, radix: 8)) \(e.owner.user):"
    out +=
      "\(e.owner.group) \(e.modified.seconds).\(e.modified.nanoseconds) links \(e.linkCount) group \(e.linkGroup ?? 0)"
    for attribute in e.attributes {
      out += " \(Hex.encode(attribute.name))=\(Hex.encode(SHA256.hash(attribute.value).bytes))"
    }
    switch e.body {
    case .file(let size, let body):
      // Read, not copied from the listing: the pieces must come together to the same bytes.
      let buffer = Bytes(capacity: Int(size) + 1)
      let got = try content.read(body, size: size, at: 0, into: buffer.whole)
      out += " size \(size) \(SHA256().hash(UnsafeRawBufferPointer(buffer.whole.rebased(got))))"
      out += " data \(try content.dataSize(body, size: size))"
    case .symbolicLink(let target): out += " -> \(Hex.encode(target))"
    case .characterDevice(let major, let minor), .blockDevice(let major, let minor): out += " \(major):\(minor)"
    default: break
    }
    return out
  }
}
