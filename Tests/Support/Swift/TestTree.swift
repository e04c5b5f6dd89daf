// Trees as tests write them down, and their way into a repository: no source is walked for it.
internal import ChunkCodec
internal import Glibc
package import Platform
package import RepositoryCore
package import RepositoryFormat
package import Reporting
package import SnapshotTree

/// An entry of a tree that a test makes up, with its content: that of a file, or what is in a directory.
package struct TestEntry: Sendable {
  package enum Piece: Sendable {
    case data([UInt8])
    /// So many bytes that are not there, and read as zeros.
    case hole(Int)
  }
  private enum Content: Sendable {
    case none
    case file([Piece])
    case directory([TestEntry])
  }

  package static let time = Timestamp(seconds: 1_000_000_000, nanoseconds: 5)
  /// But for its content, as it is stored.
  package var entry: Entry
  private let content: Content

  private init(_ name: String, _ permissions: UInt32, _ body: EntryBody, _ content: Content = .none) {
    // Nothing live is taken for what was backed up: no inode has the number 0.
    entry = Entry(
      name: Array(name.utf8), permissions: permissions, owner: Owner(user: geteuid(), group: getegid()),
      modified: Self.time, changed: Self.time, born: nil, linkCount: 1, sourceInode: 0, body: body)
    self.content = content
  }

  package static func file(_ name: String, _ text: String) -> TestEntry { file(name, Array(text.utf8)) }
  package static func file(_ name: String, _ bytes: [UInt8]) -> TestEntry {
    file(name, pieces: bytes.isEmpty ? [] : [.data(bytes)])
  }
  package static func file(_ name: String, pieces: [Piece]) -> TestEntry {
    TestEntry(name, 0o644, .file(size: 0, content: .empty), .file(pieces))
  }
  package static func directory(_ name: String, _ entries: [TestEntry] = []) -> TestEntry {
    TestEntry(name, 0o755, .directory(below: 0, listing: .zero), .directory(entries))
  }
  package static func link(_ name: String, to target: String) -> TestEntry {
    TestEntry(name, 0o777, .symbolicLink(target: Array(target.utf8)))
  }
  package static func fifo(_ name: String) -> TestEntry { TestEntry(name, 0o600, .fifo) }

  package func with(_ change: (inout Entry) -> Void) -> TestEntry {
    var out = self
    change(&out.entry)
    return out
  }

  /// One of the names of a file: those with the same group are hard links.
  package func linked(_ group: UInt64) -> TestEntry { with { $0.linkGroup = group } }

  /// The entry with its content stored.
  fileprivate func stored(_ storing: TreeStoring) throws -> Entry {
    var entry = entry
    switch content {
    case .none: break
    case .file(let pieces): entry.body = try storing.file(pieces)
    case .directory(let entries):
      let listing = try storing.listing(entries)
      entry.body = .directory(below: listing.below, listing: listing.id)
    }
    return entry
  }
}

/// Stores contents and listings. One thread.
private struct TreeStoring {
  let writer: ChunkWriter
  let repository: Repository
  let leafEntriesMax: Int

  func file(_ pieces: [TestEntry.Piece]) throws -> EntryBody {
    var size = 0
    var hasHoles = false
    var all: [UInt8] = []
    let stored = try pieces.map { piece in
      switch piece {
      case .data(let bytes):
        size += bytes.count
        all += bytes
        return ContentPiece(length: UInt64(bytes.count), chunk: try store(bytes, .data))
      case .hole(let count):
        size += count
        hasHoles = true
        return ContentPiece(length: UInt64(count), chunk: nil)
      }
    }
    if stored.isEmpty { return .file(size: 0, content: .empty) }
    let digest = SHA256.hash(all)
    if stored.count == 1, !hasHoles { return .file(size: UInt64(size), content: .single(digest)) }
    return .file(size: UInt64(size), content: .pieces(hasHoles ? nil : digest, stored))
  }

  func listing(_ entries: [TestEntry]) throws -> (id: ObjectID, below: UInt64) {
    let entries = try entries.map { try $0.stored(self) }.sorted { $0.name.precedes($1.name) }
    var children: [Branch.Child] = []
    for start in stride(from: 0, to: max(1, entries.count), by: leafEntriesMax) {
      var leaf = LeafBuilder()
      for entry in entries[start..<min(entries.count, start + leafEntriesMax)] { leaf.append(entry) }
      let (name, count, total) = (leaf.firstName, leaf.count, leaf.total)
      let id = try store(leaf.finish(), .tree)
      children.append(Branch.Child(firstName: name, count: UInt64(count), total: total, object: id))
    }
    let below = children.reduce(0) { $0 + $1.total }
    return (children.count == 1 ? children[0].object : try store(Branch(children: children).encode(), .tree), below)
  }

  private func store(_ bytes: [UInt8], _ kind: ChunkKind) throws -> ObjectID {
    let id = repository.chunkID(of: bytes, kind)
    try bytes.withUnsafeBytes { _ = try writer.add(id, kind: kind, $0) }
    return id
  }
}

extension Repository {
  /// The id that a chunk has under the current keys.
  package func chunkID(of bytes: [UInt8], _ kind: ChunkKind = .data) -> ObjectID {
    KeyedHash(key: keyring.current.record.idKey).chunkID(SHA256.hash(bytes), kind: kind)
  }

  /// Stores what a tree needs, as one run that has not finished: there is no record of it yet. `day` counts from 1970.
  package func storeTree(
    _ day: Int, _ entries: [TestEntry], leafEntriesMax: Int = .max, change: (inout SnapshotRecord) -> Void = { _ in }
  ) throws -> SnapshotRecord {
    let writer = try ChunkWriter(self)
    defer { writer.close() }
    let root = try TestEntry.directory("", entries)
      .stored(TreeStoring(writer: writer, repository: self, leafEntriesMax: leafEntriesMax))
    try writer.flush()
    var record = snapshotRecord(day)
    record.name = record.start.fields(offset: 0).day8 + "_0930"
    record.root = root
    record.counts.entries = root.below + 1
    record.nextLinkGroup = 1000
    change(&record)
    return record
  }

  /// Makes a snapshot of a tree, in packs of its own but for what is stored already.
  @discardableResult
  package func addSnapshot(
    _ day: Int, of entries: [TestEntry], leafEntriesMax: Int = .max, change: (inout SnapshotRecord) -> Void = { _ in }
  ) throws -> ObjectID {
    var record = try storeTree(day, entries, leafEntriesMax: leafEntriesMax, change: change)
    let id = try store(&record, after: SnapshotCatalog(self))
    remember(id, record.sequence)
    return id
  }

  /// A reader of a snapshot with nothing in memory yet. `chunks` stand between it and the repository.
  package func snapshot(_ id: ObjectID, by chunks: (any ChunkSource)? = nil) throws -> SnapshotReader {
    guard let found = try readCatalog().snapshots.first(where: { $0.id == id }) else {
      throw YesterError(.failed, "there is no such snapshot")
    }
    return SnapshotReader(found, tree: TreeStore(reader: chunks ?? reader))
  }
}

/// Passes on what is asked for, and remembers it.
package final class WatchedChunks: ChunkSource {
  private let source: any ChunkSource
  private let before: @Sendable (ObjectID) throws(YesterError) -> Void
  private let log = Monitor<[ObjectID]>([])

  /// `before` is called ahead of each read, and its error is what the read gives.
  package init(_ source: any ChunkSource, before: @escaping @Sendable (ObjectID) throws(YesterError) -> Void = { _ in })
  {
    self.source = source
    self.before = before
  }

  /// What was read so far, in order.
  package var read: [ObjectID] { log.withLock { $0 } }

  package func chunk(_ id: ObjectID, kind: ChunkKind) throws(YesterError) -> BytesSlice {
    log.withLock { $0.append(id) }
    try before(id)
    return try source.chunk(id, kind: kind)
  }
  package func chunkID(_ digest: Digest, _ keySet: KeySetID) -> ObjectID? { source.chunkID(digest, keySet) }
}

/// All that is below a directory, path by path: what kind of thing it is, and what a file or a link says. Nothing is
/// followed.
package func treeContents(_ path: String) throws -> [String: String] {
  var out: [String: String] = [:]
  func look(_ relative: String) throws {
    let names = try Directory.names(Descriptor.open("\(path)/\(relative)", Descriptor.directoryFlags))
    for name in names.map({ String(decoding: $0, as: UTF8.self) }) {
      let below = relative.isEmpty ? name : "\(relative)/\(name)"
      let status = try FileStatus(of: Array("\(path)/\(below)".utf8))
      switch status.type {
      case S_IFREG:
        let bytes = try Descriptor.open("\(path)/\(below)").readAll(limit: 64 << 20)
        out[below] = "file " + String(decoding: bytes, as: UTF8.self)
      case S_IFDIR:
        out[below] = "directory"
        try look(below)
      case S_IFLNK:
        let target = try FileSystem.readLink(Array("\(path)/\(below)".utf8), at: nil)
        out[below] = "link " + String(decoding: target, as: UTF8.self)
      case S_IFIFO: out[below] = "fifo"
      default: out[below] = "other"
      }
    }
  }
  try look("")
  return out
}
