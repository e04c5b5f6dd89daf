// A snapshot as a file system, and the whole of a mount, over trees that a key holder made up.
@testable internal import ChunkCodec
@testable internal import MountNamespace
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat
@testable internal import SnapshotTree

let treeTargets: [Target] = [
  // Without keys and packs, and so without the proof that a chunk has the content that its id says: listings may hold
  // themselves.
  Target("tree", seeds: scenarios) { input in
    let scenario = Scenario(input)
    let tree = TreeStore(reader: MarkedChunks(scenario: scenario), cacheSize: 1 << 16)
    for record in scenario.records {
      let reader = SnapshotReader(cataloged(record), tree: tree)
      _ = accepted { try ask(reader, scenario.questions) }
      _ = accepted { try ChecksumList().size(reader) }
    }
    let readers = scenario.records.map { SnapshotReader(cataloged($0), tree: tree) }
    _ = accepted { try VersionHistory(of: scenario.questions, in: readers).versions }
  },
  // Everything from the objects of a repository on, which are sealed and signed by the fuzzer.
  Target("mount", seeds: scenarios) { input in
    let scenario = Scenario(input)
    let store = try SealedRepository(scenario).store
    let repository = try Repository.open(
      store, secret: .keyFile(testSecret), cacheSize: 1 << 20,
      folders: LocalFolders(caches: scratchFolder, memories: scratchFolder + "/memories"))
    for host in [fuzzHost, nil] {
      let mount = try Namespace(repository, Namespace.Options(host: host)) { _ in }
      defer { mount.close() }
      // What is generated has a line for each entry: that may be any number, and is not asked for here.
      let isSmall = scenario.records.allSatisfy { $0.root.below < 1000 }
      var walk = MountWalk(mount, readsGenerated: isSmall)
      walk.explore()
      walk.ask(scenario.questions)
      _ = accepted { try mount.refresh() }
    }
  },
]

private struct MarkedChunks: ChunkSource {
  let scenario: Scenario

  func chunk(_ id: ObjectID, kind: ChunkKind) throws(YesterError) -> BytesSlice {
    guard let index = scenario.index(id), scenario.chunks[index].kind == kind else {
      throw YesterError(.damaged, "there is no such chunk")
    }
    let bytes = Bytes(scenario.chunks[index].bytes)
    return BytesSlice(bytes, offset: 0, count: bytes.count)
  }
  func chunkID(_ digest: Digest, _ keySet: KeySetID) -> ObjectID? {
    ObjectID(nameOf: digest)
  }
}

private func cataloged(_ record: SnapshotRecord) -> CatalogedSnapshot {
  CatalogedSnapshot(
    id: .zero, record: record,
    envelope: Authorship(
      SignedEnvelope(
        magic: .snapshot, keySet: testKeyring.current.id, epoch: 1, writer: testKeyring.writer.publicKey),
      role: .full, member: testKeyring.member))
}

/// Reads the numbers that questions are made of; zeros when there are no more.
struct Questions {
  private var rest: ArraySlice<UInt8>
  init(_ bytes: [UInt8]) { rest = bytes[...] }
  var isAtEnd: Bool { rest.isEmpty }
  mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }
  /// Of any magnitude: the first byte says how many bytes follow.
  mutating func number() -> UInt64 { (0..<(byte() % 9)).reduce(0) { number, _ in number << 8 | UInt64(byte()) } }
}

private func ask(_ reader: SnapshotReader, _ bytes: [UInt8]) throws {
  let content = FileContentReader(tree: reader.tree, keySet: testKeyring.current.id)
  var steps = 0
  _ = accepted {
    try reader.walk(from: reader.root) { node, path in
      steps += 1
      guard steps < 200 else { throw CancellationError() }
      expect(node.number < reader.entryCount, "numbers are below the count of entries")
      expect(try reader.node(node.number)?.entry == node.entry, "an entry is found by its number")
      expect(try reader.node(at: path)?.number == node.number, "an entry is found by its path")
      return true
    }
  }
  var questions = Questions(bytes)
  while !questions.isAtEnd {
    let number = questions.number() % (reader.entryCount + 1)
    guard let node = accepted({ try reader.node(number) }) ?? nil else { continue }
    let offset = questions.number()
    if case .file(let size, let pieces) = node.entry.body {
      _ = accepted { try content.dataSize(pieces, size: size) }
      checkRead(size: size, at: offset, count: Int(questions.number() % 70_000)) {
        try content.read(pieces, size: size, at: offset, into: $0)
      }
      for toHole in [false, true] where offset < size {
        if let found = accepted({ try content.seek(pieces, size: size, from: offset, toHole: toHole) }) ?? nil {
          expect(found >= offset && found <= size, "data and holes lie behind the offset and in the file")
        }
      }
    } else {
      var count = 0
      _ = accepted {
        try reader.forEachChild(of: node, from: offset) { child, position in
          expect(position >= offset, "a listing begins where it is told to")
          count += 1
          return count < 50
        }
      }
    }
  }
}

/// A read fills all that it says it fills: the rest of a buffer may hold another file's bytes.
func checkRead(size: UInt64, at offset: UInt64, count: Int, _ read: (UnsafeMutableRawBufferPointer) throws -> Int) {
  func filled(_ byte: UInt8) -> [UInt8]? {
    var buffer = [UInt8](repeating: byte, count: count)
    guard let got = accepted({ try buffer.withUnsafeMutableBytes { try read($0) } }) else { return nil }
    expect(got <= count && UInt64(got) <= size - min(size, offset), "no more is read than there is")
    expect(UInt64(got) == min(UInt64(count), size - min(size, offset)), "less is read only at the end")
    expect(buffer[got...].allSatisfy { $0 == byte }, "nothing is written behind what is read")
    return Array(buffer[..<got])
  }
  if let first = filled(0xA5) { expect(first == filled(0x5A) ?? first, "everything that is read is written") }
}
