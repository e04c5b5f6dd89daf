// Sources that lie in memory, and what a repository gives back of them.
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import SnapshotTree
import SnapshotWriting
import TestSupport

/// Tells the writer whatever a test likes.
struct PushedSource: SnapshotSource {
  var names: [[UInt8]] = [Array("/made-up".utf8)]
  let push: (SnapshotWriter) throws -> Void

  func write(to writer: SnapshotWriter) throws { try push(writer) }
}

/// Gives pieces of memory, and keeps account of what it was asked for.
final class MemoryStream: ByteStream {
  enum Piece { case data([UInt8]), hole(UInt64) }
  struct State {
    var pieces: [Piece]
    var starts = 0
    var finishes = 0
    var cancels = 0
  }
  let state: Monitor<State>
  /// Thrown in place of the end of the pieces.
  private let failure: (any Error)?
  /// Thrown by `finish`.
  private let missing: (any Error)?
  private let atEnd: @Sendable () -> Void

  init(
    _ pieces: [Piece], failure: (any Error)? = nil, missing: (any Error)? = nil,
    atEnd: @escaping @Sendable () -> Void = {}
  ) {
    state = Monitor(State(pieces: pieces))
    self.failure = failure
    self.missing = missing
    self.atEnd = atEnd
  }

  func start() { state.withLock { $0.starts += 1 } }
  func cancel() { state.withLock { $0.cancels += 1 } }

  func finish() throws {
    state.withLock { $0.finishes += 1 }
    if let missing { throw missing }
  }

  func nextHole() -> UInt64 {
    state.withLock { state in
      guard case .hole(let length) = state.pieces.first else { return 0 }
      state.pieces.removeFirst()
      return length
    }
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    var filled = 0
    let isAtEnd = state.withLock { state in
      while filled < buffer.count, case .data(let bytes) = state.pieces.first {
        let part = bytes.prefix(buffer.count - filled)
        UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]).copyBytes(from: part)
        filled += part.count
        state.pieces.removeFirst()
        if part.count < bytes.count { state.pieces.insert(.data(Array(bytes[part.count...])), at: 0) }
      }
      return state.pieces.isEmpty
    }
    if isAtEnd { atEnd() }
    if isAtEnd, let failure { throw failure }
    return filled
  }
}

/// A tree in memory, by path without the slash in front. Directories above need not be named.
struct MadeUpTree: SnapshotSource {
  enum Item {
    case directory
    case small([UInt8])
    case streamed([MemoryStream.Piece])
    case special(EntryBody)
    /// One more name of the file at another path, which comes before.
    case link(to: [UInt8])
  }
  var names: [[UInt8]] = [Array("/made-up".utf8)]
  var items: [[UInt8]: Item] = [:]
  /// Seeds of what there is to say of a path beside its content.
  var changes: [[UInt8]: UInt64] = [:]

  subscript(path: String) -> Item? {
    get { items[Array(path.utf8)] }
    set { items[Array(path.utf8)] = newValue }
  }

  /// Paths of everything, directories included, in the order of the tree.
  var paths: [[UInt8]] {
    var all = Set(items.keys)
    for path in items.keys {
      for (index, byte) in path.enumerated() where byte == 0x2F { all.insert(Array(path[..<index])) }
    }
    return all.map { ($0, $0.split(separator: 0x2F).map { Array($0) }) }
      .sorted { $0.1.lexicographicallyPrecedes($1.1) { $0.precedes($1) } }.map(\.0)
  }

  /// Made up from the path, so that reading back can be compared with it.
  func entry(_ path: [UInt8], _ body: EntryBody, linkCount: UInt64 = 1) -> Entry {
    var random = SeededGenerator(seed: path.reduce(changes[path] ?? 1) { $0 &* 31 &+ UInt64($1) })
    let name = path.split(separator: 0x2F).last.map { Array($0) } ?? []
    return Entry(
      name: name, permissions: UInt32(random.below(4096)), owner: random.owner(), modified: random.time(),
      changed: random.time(), born: random.chance() ? random.time() : nil, linkCount: linkCount,
      sourceInode: random.number(), attributes: random.attributes(), body: body)
  }

  /// Of files with several names.
  var linkCounts: [[UInt8]: UInt64] {
    var counts: [[UInt8]: UInt64] = [:]
    for item in items.values {
      if case .link(let path) = item { counts[path, default: 1] += 1 }
    }
    return counts
  }

  func write(to writer: SnapshotWriter) throws {
    try writer.enter(entry([], .directory(below: 0, listing: .zero)))
    try writeContent(to: writer)
    try writer.leave()
  }

  /// All but the root itself.
  func writeContent(to writer: SnapshotWriter) throws {
    var open: [[UInt8]] = []
    var files: [[UInt8]: Entry] = [:]
    let counts = linkCounts
    for path in paths {
      let linkCount = counts[path] ?? 1
      while let last = open.last, !path.starts(with: last + [0x2F]) {
        try writer.leave()
        open.removeLast()
      }
      switch items[path] ?? .directory {
      case .directory:
        try writer.enter(entry(path, .directory(below: 0, listing: .zero)))
        open.append(path)
      case .small(let bytes): files[path] = try writer.add(entry(path, writer.store(bytes), linkCount: linkCount))
      case .streamed(let pieces):
        let body = try writer.store(MemoryStream(pieces))
        files[path] = try writer.add(entry(path, body, linkCount: linkCount))
      case .special(let body): try writer.add(entry(path, body))
      case .link(let other):
        if let file = files[other] { try writer.add(entry(path, .fifo).name, linkedTo: file) }
      }
    }
    for _ in open { try writer.leave() }
  }
}

/// Makes snapshots in a repository in memory.
struct Maker {
  let test: TestRepository
  let repository: Repository
  var options = SnapshotOptions()

  init(in store: MemoryStore = MemoryStore()) throws {
    test = try TestRepository(in: store)
    repository = try test.open()
  }

  @discardableResult
  func make(
    _ source: some SnapshotSource, _ options: SnapshotOptions? = nil, progress: RunProgress = RunProgress(),
    listing: EntryListing? = nil, isStrict: Bool = false, report: @escaping (PathProblem) -> Void = { _ in }
  ) throws -> SnapshotRun.Result {
    try SnapshotRun.run(
      repository, options ?? self.options, from: source, problems: ProblemCounter(isStrict: isStrict, report),
      progress: progress, listing: listing)
  }

  /// As somebody sees them who opens the repository anew.
  func snapshots() throws -> [SnapshotReader] {
    let repository = try test.open()
    let tree = TreeStore(reader: repository.reader)
    return try SnapshotCatalog(repository).snapshots.map { SnapshotReader($0, tree: tree) }
  }

  func last() throws -> SnapshotReader {
    guard let last = try snapshots().last else { throw YesterError(.failed, "there is no snapshot") }
    return last
  }
}

extension SnapshotReader {
  /// Everything below the root, by its path.
  func entries() throws -> [(path: [UInt8], entry: Entry)] {
    var out: [(path: [UInt8], entry: Entry)] = []
    try walk(from: root) { node, path in
      if node.number > 0 { out.append((path, node.entry)) }
      return true
    }
    return out
  }

  func content(of entry: Entry) throws -> [UInt8] {
    guard case .file(let size, let content) = entry.body else { return [] }
    let reader = FileContentReader(tree: tree, keySet: snapshot.keySet)
    return try reader.parts(of: content, size: size, at: 0, count: Int(size)).flatMap { part in
      part.withBytes { Array($0) }
    }
  }
}

/// Thrown by streams that do not come to their end.
let cutOff = YesterError(.failed, "The other end has ended too early")
