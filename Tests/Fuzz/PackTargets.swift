// Packs and the index: what says where chunks are, and the blocks that hold them.
@testable internal import ChunkCodec
internal import Glibc
internal import ObjectStores
internal import Platform
@testable internal import RepositoryCore
internal import RepositoryFormat
internal import TestSupport

let packTargets: [Target] = [
  // The first four bytes are the size of the pack, the next 24 its trailer, the rest its header.
  Target("pack-frame", seeds: packFrames) { input in
    guard input.count > 28 else { return }
    let size = Int(try input.read { (reader) throws(FormatError) in try reader.u32() })
    if let (offset, length) = accepted({ try PackLayout.readTrailer(Array(input[4..<28]), packSize: size) }) {
      let again = PackLayout.trailer(directoryOffset: UInt64(offset), directoryLength: UInt32(length))
      expect(again == Array(input[4..<28]), "a trailer has one form only")
      expect(offset >= PackLayout.headerSize && offset + length <= size, "a directory lies in its pack")
    }
    let header = try PackLayout.readHeader(Array(input[28...]), of: testKeyring.repository)
    let again = PackLayout.headerStart(
      header.kind, repository: testKeyring.repository, keySet: header.keySet, ephemeralKey: header.ephemeralKey)
    expect(input[28...].starts(with: again + header.wrappedKey), "a header has one form only")
  },
  // The first four bytes say where the directory begins.
  Target("pack-directory", seeds: { random { packDirectory(&$0) } }) { input in
    let offset = Int(try input.read { (reader) throws(FormatError) in try reader.u32() })
    let bytes = Array(input[4...])
    // A directory further back does not get this far (see `pack-frame`).
    guard offset <= Limits.packSizeMax else { return }
    let directory = try PackDirectory(decoding: bytes, directoryOffset: offset)
    expect(directory.encode() == bytes, "a directory has one form only")
    let indexed = IndexedPack(
      id: .zero, size: UInt64(offset), kind: .data, writer: IndexLayout.unknownWriter, directory: directory)
    var builder = IndexSegmentBuilder()
    builder.add(indexed)
    expect(builder.chunkCount == directory.blocks.reduce(0) { $0 + $1.chunks.count }, "the index gets every chunk")
  },
  // Four bytes of plain length, one of compression, then what a key holder sealed as a block.
  Target("block", seeds: blocks) { input in
    let (length, kind) = try input.read { (reader) throws(FormatError) in (try reader.u32(), try reader.u8()) }
    guard let compression = Compression(rawValue: kind & 1) else { return }
    let key = PackKey(kind: .data, dataKey: testSecret)
    let plainLength = Int(length % UInt32(1 << 20))
    let sealed = AESGCM().seal(
      Array(input[5...]), key: key.dataKey, nonce: .block(3),
      authenticating: key.blockExtra(compression: compression, plainLength: plainLength))
    let location = BlockLocation(
      number: 3, offset: 0, sealedLength: UInt32(sealed.count), plainLength: UInt32(plainLength),
      compression: compression)
    let plain = Bytes(capacity: plainLength)
    let scratch = Bytes(capacity: sealed.count)
    defer { withExtendedLifetime((plain, scratch)) {} }
    try sealed.withUnsafeBytes {
      let sealed = $0
      _ = try codecs.use {
        try $0.open(sealed, key: key, location, into: plain.whole.rebased(plainLength), by: scratch.base)
      }
    }
  },
  Target("index-segment", seeds: { try random { try indexSegment(&$0) } }) { input in
    let path = scratchFolder + "/segment"
    try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600).write(input)
    try check(IndexSegment(id: .zero, file: MappedFile(path)))
  },
]

private let codecs = Pool { BlockCodec() }

private func check(_ segment: IndexSegment) throws {
  expect(segment.replaced.count == segment.head.replaced, "a segment has as many replaced ids as it says")
  expect(segment.statements.count <= Int(segment.head.statements), "a segment says no more than it says")
  for index in 0..<segment.packCount {
    _ = accepted { try segment.pack(index) }
    _ = accepted { try segment.writer(ofPack: index) }
    for block in segment.blocks(ofPack: index) { _ = accepted { try segment.block(block) } }
  }
  for index in 0...Int(segment.head.blocks) {
    if let (pack, _) = accepted({ try segment.block(index) }) {
      expect(pack < segment.packCount, "a block is in a pack of the segment")
    }
  }
  for index in 0..<segment.chunkCount {
    let prefix = segment.prefix(index)
    var id = ByteWriter()
    for word in [prefix.w0, prefix.w1] { withUnsafeBytes(of: word.bigEndian) { id.raw($0) } }
    withUnsafeBytes(of: prefix.w2.bigEndian) { id.raw($0) }
    id.zeros(12)
    // In a segment that is not sorted chunks may be missed, but nothing else may happen.
    if let wanted = ObjectID(id.bytes), let found = try segment.find(wanted) {
      expect(segment.prefix(found) == prefix, "what is found is what was looked for")
      let others = try segment.others(like: found, wanted, limit: 100)
      expect(others.allSatisfy { segment.prefix($0) == prefix }, "what stands beside it is what was looked for")
    }
    if let location = accepted({ try segment.location(index) }) {
      expect(
        UInt64(location.offset) + UInt64(location.length) <= UInt64(location.block.plainLength),
        "a chunk lies in its block")
    }
  }
  _ = try segment.find(.zero)
}

@Sendable private func packFrames() throws -> [[UInt8]] {
  try [ChunkKind.data, .tree].map { kind in
    var out = ByteWriter()
    out.u32(UInt32(1000 + PackLayout.headerSize + PackLayout.trailerSize))
    out.raw(PackLayout.trailer(directoryOffset: UInt64(PackLayout.headerSize + 600), directoryLength: 400))
    out.raw(try PackKey.make(kind, testKeyring).header)
    return out.bytes
  }
}

private func packDirectory(_ random: inout SeededGenerator) -> [UInt8] {
  let directory = random.packDirectory(random.below(5))
  var out = ByteWriter()
  out.u32(directory.blocks.reduce(UInt32(PackLayout.headerSize)) { $0 + $1.sealedLength })
  out.raw(directory.encode())
  return out.bytes
}

@Sendable private func blocks() throws -> [[UInt8]] {
  let zstd = Zstd()
  return random { generator in
    let isPacked = generator.chance()
    let plain =
      isPacked ? [UInt8](repeating: 65, count: 500) + generator.bytes(50) : generator.bytes(generator.below(99))
    let packed = Bytes(capacity: 1000)
    packed.count = isPacked ? plain.withUnsafeBytes { zstd.compress($0, into: packed.base, room: 1000) } ?? 0 : 0
    var out = ByteWriter()
    out.u32(UInt32(plain.count))
    out.u8(isPacked ? 1 : 0)
    if isPacked { packed.withFilled { out.raw($0) } } else { out.raw(plain) }
    return out.bytes
  }
}

private func indexSegment(_ random: inout SeededGenerator) throws -> [UInt8] {
  var builder = IndexSegmentBuilder()
  builder.replaced = (0..<random.below(3)).map { _ in random.id() }
  for _ in 0..<random.below(4) {
    let directory = random.packDirectory(random.below(4))
    builder.add(IndexedPack(id: random.id(), size: 5000, kind: .data, writer: random.bytes(32), directory: directory))
  }
  let store = MemoryStore()
  let id = try builder.store(in: store, testKeyring)
  // The signature is checked by whoever reads the bytes.
  var rest = (store[ObjectKey.index(id).path] ?? []).dropLast(IndexLayout.signatureSize)
  var body: [UInt8] = []
  _ = try IndexOpener.open(
    testKeyring,
    read: { (count: Int) throws(FormatError) in
      defer { rest = rest.dropFirst(count) }
      return Array(rest.prefix(count))
    }, emit: { (part: [UInt8]) throws(FormatError) in body += part }, damaged: { $0 })
  return body
}
