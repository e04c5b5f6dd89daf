// What the tests of this module share: a repository to work in, and what to put into it.
import ChunkCodec
import Glibc
import Platform
import RepositoryFormat
import RepositoryStore
import TestSupport
import Testing

func writeFile(_ path: String, _ bytes: [UInt8]) throws {
  try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600).write(bytes)
}

/// Runs `body` on `count` threads and waits for all of them.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
  let workers = (0..<count).map { number in Worker("test-\(number)") { body(number) } }
  for worker in workers { worker.join() }
}

extension SeededGenerator {
  mutating func id() -> ObjectID { bytes(32).withUnsafeBytes { ObjectID($0) } }
}

let seedHint = Comment(rawValue: "YESTER_TEST_SEED=\(SeededGenerator.seed)")

/// A new repository with one full key, which opens by `secret`.
final class TestRepository: Sendable {
  let store: any ObjectStore
  let secret = Secret.keyFile(System.random(32))
  let id: RepositoryID

  init(in store: any ObjectStore = MemoryStore()) throws {
    self.store = store
    id = try Repository.create(in: store, secret: secret, label: "first").id
  }

  deinit { removeTree(testCaches + "/" + id.description) }

  /// `other` is a store to go through, over the same objects; `secret` that of another slot.
  func open(
    _ other: (any ObjectStore)? = nil, by secret: Secret? = nil, cacheSize: Int = 64 << 20
  ) throws -> Repository {
    try Repository.open(other ?? store, secret: secret ?? self.secret, cacheSize: cacheSize, caches: testCaches)
  }

  /// Adds a slot with a writer of its own; what opens it.
  func addSlot(_ role: KeyRole) throws -> Secret {
    let secret = Secret.keyFile(System.random(32))
    let keyring = try #require(try open().keyring.deriving(role))
    let slot = try KeySlot.seal(keyring, with: secret, label: "more", created: .now())
    try store.put(.slot(SHA256.hash(slot)), slot)
    return secret
  }

  /// Adds a slot with a writer of its own, and opens the repository by it.
  func addWriter(_ role: KeyRole) throws -> Repository { try open(by: addSlot(role)) }
}

/// A chunk to be stored, with the id that it has under a repository's keys.
struct TestChunk: Sendable {
  let id: ObjectID
  let kind: ChunkKind
  let bytes: [UInt8]

  init(_ bytes: [UInt8], _ repository: Repository, _ kind: ChunkKind = .data) {
    self.bytes = bytes
    self.kind = kind
    let hash = KeyedHash(key: repository.keyring.current.record.idKey)
    id = hash.chunkID(SHA256.hash(bytes), kind: kind)
  }

  func isReadable(in repository: Repository) throws -> Bool {
    // The pointer is good only while the slice is.
    let slice = try repository.reader.chunk(id, kind: kind)
    return withExtendedLifetime(slice) { slice.raw.equals(bytes) }
  }
}

extension ChunkWriter {
  @discardableResult
  func add(_ chunk: TestChunk) throws -> Bool {
    try chunk.bytes.withUnsafeBytes { try add(chunk.id, kind: chunk.kind, $0) }
  }

  /// Stores chunks and their index, and ends.
  static func store(_ chunks: [TestChunk], in repository: Repository, _ settings: Settings = Settings()) throws {
    let writer = ChunkWriter(repository, settings)
    defer { writer.close() }
    for chunk in chunks { try writer.add(chunk) }
    try writer.flush()
  }
}

/// What there is to know of a snapshot of some day, without a tree.
func snapshotRecord(_ day: Int) -> SnapshotRecord {
  let time = Timestamp(seconds: Int64(day) * 86_400)
  let root = Entry(
    name: [],
    permissions: 0o755,
    owner: Owner(user: 0, group: 0),
    modified: time,
    changed: time,
    born: nil,
    linkCount: 2,
    sourceInode: 2,
    body: .directory(below: 0, listing: .zero)
  )
  var record = SnapshotRecord(root: root)
  record.name = "202611" + pad(day) + "_0930"
  record.start = time
  record.end = time
  return record
}

extension Repository {
  @discardableResult
  func addSnapshot(_ day: Int) throws -> ObjectID {
    var record = snapshotRecord(day)
    return try store(&record, after: SnapshotCatalog(self))
  }

  func addNote(
    _ kind: NoteRecord.Kind,
    _ snapshots: [ObjectID],
    day: Int = 0,
    until: Timestamp? = nil
  ) throws {
    let catalog = try SnapshotCatalog(self)
    let subjects = catalog.snapshots.filter { snapshots.contains($0.id) }.map {
      NoteRecord.Subject(snapshot: $0.id, writer: $0.envelope.writer, sequence: $0.record.sequence)
    }
    var note = NoteRecord(kind: kind, time: Timestamp(seconds: Int64(day)), subjects: subjects)
    note.until = until
    try store(note, after: catalog)
  }
}

/// A pack that is not there, for segments that only say where things are.
func indexed(_ ids: [ObjectID], pack: ObjectID, perBlock: Int = 100) -> IndexedPack {
  var offset: UInt32 = 128
  var blocks: [(place: BlockPlace, chunks: [PackDirectory.Chunk])] = []
  for start in stride(from: 0, to: ids.count, by: perBlock) {
    let chunks = ids[start..<min(ids.count, start + perBlock)].enumerated().map {
      PackDirectory.Chunk(id: $1, length: UInt32($0 + 1))
    }
    let plain = chunks.reduce(0) { $0 + $1.length }
    blocks.append(
      (
        BlockPlace(
          number: UInt32(blocks.count),
          offset: offset,
          sealedLength: plain + 16,
          plainLength: plain,
          compression: .none
        ), chunks
      )
    )
    offset += plain + 16
  }
  return IndexedPack(pack: IndexLayout.Pack(id: pack, size: UInt64(offset), kind: .data), blocks: blocks)
}

/// The code of the `YesterError` that `body` throws.
func errorCode(_ body: () throws -> Void) -> YesterError.Code? {
  do { try body() } catch { return (error as? YesterError)?.code }
  return nil
}

func errorMessage(_ body: () throws -> Void) -> String {
  do { try body() } catch { return "\(error)" }
  return "no error"
}
