// What the tests of this module share: temporary directories, a repository to work in, and chunks.
import ChunkCodec
import Glibc
import Platform
import RepositoryFormat
import RepositoryStore
import Testing

/// Runs `body` with a new directory under /tmp, and removes it with all that is in it, whatever happens.
func withTemporaryDirectory<Value>(_ body: (String) throws -> Value) throws -> Value {
  let path = "/tmp/yester-test-" + Hex.encode(System.random(8))
  try Directory.makeAll(path)
  defer { removeTree(path) }
  return try body(path)
}

func removeTree(_ path: String) { removeTree(Array(path.utf8)) }

private func removeTree(_ path: [UInt8]) {
  if (try? FileStatus(of: path))?.isDirectory == true {
    let names = (try? Directory.names(Descriptor.open(path, Descriptor.directoryFlags))) ?? []
    for name in names { removeTree(path + [UInt8(ascii: "/")] + name) }
    try? FileSystem.removeDirectory(path, at: nil)
  } else {
    try? FileSystem.removeFile(path, at: nil)
  }
}

func writeFile(_ path: String, _ bytes: [UInt8]) throws {
  try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600).write(bytes)
}

/// Runs `body` on `count` threads and waits for all of them.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
  let workers = (0..<count).map { number in Worker("test-\(number)") { body(number) } }
  for worker in workers { worker.join() }
}

/// SplitMix64 (Steele et al., OOPSLA 2014). `YESTER_TEST_SEED` repeats a run.
struct SeededGenerator: RandomNumberGenerator {
  static let seed = System.environment("YESTER_TEST_SEED").flatMap { UInt64($0) } ?? UInt64.random(in: .min ... .max)
  private var state: UInt64

  init(seed: UInt64 = SeededGenerator.seed) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    var words = (0..<((count + 7) / 8)).map { _ in next().littleEndian }
    return words.withUnsafeMutableBytes { Array($0.prefix(count)) }
  }
  mutating func id() -> ObjectID { bytes(32).withUnsafeBytes { ObjectID($0) } }
}

let seedHint = Comment(rawValue: "YESTER_TEST_SEED=\(SeededGenerator.seed)")

/// The local cache of this process: opened repositories take its place from the environment.
private let testCache: String = {
  let path = "/tmp/yester-test-cache-\(System.processID)"
  setenv("YESTER_CACHE_DIR", path, 1)
  atexit { removeTree("/tmp/yester-test-cache-\(System.processID)") }
  return path
}()

/// A new repository with one full key, which opens by `secret`.
final class TestRepository: Sendable {
  let store: any ObjectStore
  let secret = Secret.keyFile(System.random(32))
  let id: RepositoryID

  init(in store: any ObjectStore = MemoryStore()) throws {
    _ = testCache
    self.store = store
    id = try Repository.create(in: store, secret: secret, label: "first").id
  }

  deinit { removeTree(testCache + "/" + id.description) }

  /// `other` is a store to go through, over the same objects.
  func open(_ other: (any ObjectStore)? = nil, cacheSize: Int = 64 << 20) throws -> Repository {
    try Repository.open(other ?? store, secret: secret, cacheSize: cacheSize)
  }

  /// Adds a slot with a writer of its own, and opens the repository by it.
  func addWriter(_ role: KeyRole) throws -> Repository {
    let secret = Secret.keyFile(System.random(32))
    let keyring = try #require(try open().keyring.deriving(role))
    let slot = try KeySlot.seal(keyring, with: secret, label: "more", created: .now())
    try store.put(.slot(SHA256.hash(slot)), slot)
    return try Repository.open(store, secret: secret)
  }
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

/// The code of the `YesterError` that `body` throws.
func errorCode(_ body: () throws -> Void) -> YesterError.Code? {
  do { try body() } catch { return (error as? YesterError)?.code }
  return nil
}

func errorMessage(_ body: () throws -> Void) -> String {
  do { try body() } catch { return "\(error)" }
  return "no error"
}
