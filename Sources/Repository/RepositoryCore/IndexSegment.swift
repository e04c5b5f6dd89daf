package import Platform
package import Reporting
package import RepositoryFormat

/// Where a chunk is.
package struct ChunkLocation: Sendable, Hashable {
  package let pack: ObjectID
  package let block: BlockLocation
  /// Offset in the block's plaintext.
  package let offset: UInt32
  package let length: UInt32

  package init(pack: ObjectID, block: BlockLocation, offset: UInt32, length: UInt32) {
    self.pack = pack
    self.block = block
    self.offset = offset
    self.length = length
  }
}

/// An opened segment of the index, mapped from the local cache and searched where it lies.
package final class IndexSegment: Sendable {
  package let id: ObjectID
  package let head: IndexLayout.Head
  /// Public keys of writers: of the one who has signed the segment, and of those whose packs it lists.
  package let writers: [[UInt8]]
  private let file: MappedFile

  /// `file` holds the body of the segment `id`.
  package init(id: ObjectID, file: MappedFile) throws(FormatError) {
    var reader = ByteReader(file.bytes)
    head = try IndexLayout.Head(&reader)
    guard head.end == file.bytes.count else { throw FormatError("an index segment contradicts itself about its size") }
    self.id = id
    self.file = file
    let start = head.writersStart
    writers = (0..<Int(head.writers)).map { index in
      let at = start + index * IndexLayout.writerSize
      return Array(file.bytes[at..<(at + IndexLayout.writerSize)])
    }
  }

  /// The public key of who has signed the segment.
  package var writer: [UInt8] { writers[0] }

  package var replaced: [ObjectID] {
    (0..<Int(head.replaced)).map { id(at: IndexLayout.headSize + $0 * IndexLayout.replacedSize) }
  }

  /// What its writer says of packs; of kinds that are not known here, nothing is told.
  package var statements: [IndexLayout.Statement] {
    (0..<Int(head.statements)).compactMap { index in
      let at = head.statementsStart + index * IndexLayout.statementSize
      guard let kind = IndexLayout.Statement.Kind(rawValue: load(at + 40, UInt32.self)) else { return nil }
      return IndexLayout.Statement(pack: id(at: at), kind: kind, seconds: Int64(bitPattern: load(at + 32, UInt64.self)))
    }
  }

  package var packCount: Int { Int(head.packs) }
  package var chunkCount: Int { Int(head.chunks) }

  package func pack(_ index: Int) throws(FormatError) -> IndexLayout.Pack {
    guard index < head.packs else { throw FormatError("an index segment names a pack that it does not list") }
    let at = head.packsStart + index * IndexLayout.packSize
    guard let kind = ChunkKind(rawValue: load(at + 40, UInt8.self)) else {
      throw FormatError("an index segment names a pack of unknown kind")
    }
    return IndexLayout.Pack(id: id(at: at), size: load(at + 32, UInt64.self), kind: kind)
  }

  /// The public key of a pack's writer, by the pack's index, as the segment says.
  package func writer(ofPack index: Int) throws(FormatError) -> [UInt8] {
    guard index < head.packs else { throw FormatError("an index segment names a pack that it does not list") }
    let writer = Int(load(head.packsStart + index * IndexLayout.packSize + 42, UInt16.self))
    guard writer < writers.count else { throw FormatError("an index segment names a writer that it does not list") }
    return writers[writer]
  }

  private func firstBlock(ofPack index: Int) -> UInt32 {
    load(head.packsStart + index * IndexLayout.packSize + 44, UInt32.self)
  }

  /// A block by its index in the list, with the index of its pack.
  package func block(_ index: Int) throws(FormatError) -> (pack: Int, BlockLocation) {
    try block(index, mapped(offset(ofBlock: index), IndexLayout.blockSize))
  }

  private func offset(ofBlock index: Int) throws(FormatError) -> Int {
    guard index < head.blocks else { throw FormatError("an index segment names a block that it does not list") }
    return head.blocksStart + index * IndexLayout.blockSize
  }

  private func block(_ index: Int, _ words: (UInt64, UInt64)) throws(FormatError) -> (pack: Int, BlockLocation) {
    let (start, end) = words
    let pack = Int(UInt32(truncatingIfNeeded: start))
    let lengths = UInt32(truncatingIfNeeded: end >> 32)
    guard pack < head.packs, let compression = Compression(rawValue: UInt8(lengths >> 28)),
      firstBlock(ofPack: pack) <= index
    else { throw FormatError("an index segment is damaged") }
    return (
      pack,
      BlockLocation(
        number: UInt32(index) - firstBlock(ofPack: pack), offset: UInt32(truncatingIfNeeded: start >> 32),
        sealedLength: UInt32(truncatingIfNeeded: end), plainLength: lengths & 0x0FFF_FFFF, compression: compression)
    )
  }

  /// The blocks of a pack by its index.
  package func blocks(ofPack index: Int) -> Range<Int> {
    let first = Int(firstBlock(ofPack: index))
    let end = index + 1 < head.packs ? Int(firstBlock(ofPack: index + 1)) : Int(head.blocks)
    return first..<max(first, min(end, Int(head.blocks)))
  }

  /// A chunk's record by its index, 0 to `chunkCount` - 1.
  package func chunk(_ index: Int) -> (block: Int, offset: UInt32, length: UInt32) {
    let at = head.chunksStart + index * IndexLayout.chunkSize + IndexLayout.prefixSize
    return (Int(load(at, UInt32.self)), load(at + 4, UInt32.self), load(at + 8, UInt32.self))
  }

  /// The 20 bytes by which a chunk is known here.
  package func prefix(_ index: Int) -> IndexPrefix {
    let at = head.chunksStart + index * IndexLayout.chunkSize
    return IndexPrefix(
      w0: UInt64(bigEndian: load(at, UInt64.self)), w1: UInt64(bigEndian: load(at + 8, UInt64.self)),
      w2: UInt32(bigEndian: load(at + 16, UInt32.self)))
  }

  /// Where a chunk is, by its index. Throws as `find` does, and error 13 when the segment contradicts itself.
  package func location(_ index: Int) throws(YesterError) -> ChunkLocation { try place(index).location }

  /// The same with the index of the pack in the segment's list.
  func place(_ index: Int) throws(YesterError) -> (pack: Int, location: ChunkLocation) {
    let (number, offset, length) = try reading { () throws(Errno) in try lookUpChunk(index) }
    let blockOffset = try asDamage { () throws(FormatError) in try self.offset(ofBlock: number) }
    let words = try reading { () throws(Errno) in try look(blockOffset, IndexLayout.blockSize) }
    return try asDamage { () throws(FormatError) in
      let (pack, block) = try self.block(number, words)
      guard UInt64(offset) + UInt64(length) <= UInt64(block.plainLength) else {
        throw FormatError("an index segment places a chunk outside of its block")
      }
      let id = id(at: self.offset(ofPack: pack))
      return (pack, ChunkLocation(pack: id, block: block, offset: offset, length: length))
    }
  }

  private func offset(ofPack index: Int) -> Int { head.packsStart + index * IndexLayout.packSize }

  /// All chunks with the id of the one at `index`, which was found: they stand beside each other. Not more than `limit`
  /// are looked for on either side.
  func others(like index: Int, _ id: ObjectID, limit: Int) throws(YesterError) -> Range<Int> {
    let wanted = IndexPrefix(id)
    return try reading { () throws(Errno) in
      var first = index
      while first > 0, index - first < limit, try lookUpPrefix(first - 1) == wanted { first -= 1 }
      var end = index + 1
      while end < chunkCount, end - index < limit, try lookUpPrefix(end) == wanted { end += 1 }
      return first..<end
    }
  }

  /// As `prefix`, for one that was looked up.
  private func lookUpPrefix(_ index: Int) throws(Errno) -> IndexPrefix {
    guard file.isLarge else { return prefix(index) }
    return try withUnsafeTemporaryAllocation(byteCount: IndexLayout.prefixSize, alignment: 8) {
      (buffer) throws(Errno) in
      try file.read(at: head.chunksStart + index * IndexLayout.chunkSize, into: buffer)
      return IndexPrefix(UnsafeRawBufferPointer(buffer))
    }
  }

  private func asDamage<Value>(_ body: () throws(FormatError) -> Value) throws(YesterError) -> Value {
    do throws(FormatError) {
      return try body()
    } catch {
      throw YesterError.damaged("The index segment \(self.id.short)", error)
    }
  }

  private func reading<Value>(_ body: () throws(Errno) -> Value) throws(YesterError) -> Value {
    do throws(Errno) {
      return try body()
    } catch {
      throw YesterError.system("Reading the local copy of the index segment", self.id.short, error)
    }
  }

  /// The index of a chunk; nil when it is not in this segment. Ids are uniform, so that the index can be guessed
  /// from the value: a few guesses, then halving. Throws an error with a `cause` when the local copy cannot be read: then
  /// nobody knows whether the chunk is there.
  package func find(_ id: ObjectID) throws(YesterError) -> Int? {
    let wanted = IndexPrefix(id)
    if file.isLarge { return try reading { () throws(Errno) in try findByReading(wanted) } }
    var low = 0
    var high = chunkCount
    // Between which values the chunks from `low` to `high` lie.
    var lowest: UInt64 = 0
    var highest = UInt64.max
    var guesses = 0
    while low < high {
      let middle: Int
      if high - low > 16 && guesses < 6 {
        guesses += 1
        guard wanted.w0 >= lowest, wanted.w0 <= highest else { return nil }
        let share = highest == lowest ? 0 : Double(wanted.w0 - lowest) / Double(highest - lowest)
        middle = min(high - 1, max(low, low + Int(share * Double(high - low))))
      } else {
        middle = (low + high) / 2
      }
      let here = prefix(middle)
      if here == wanted { return middle }
      if here < wanted {
        low = middle + 1
        lowest = here.w0
      } else {
        high = middle
        highest = here.w0
      }
    }
    return nil
  }

  /// The same in a large segment: some chunks around the guess are read, and tell where to guess next.
  private func findByReading(_ wanted: IndexPrefix) throws(Errno) -> Int? {
    let size = IndexLayout.chunkSize
    var low = 0
    var high = chunkCount
    var lowest: UInt64 = 0
    var highest = UInt64.max
    return try withUnsafeTemporaryAllocation(byteCount: Self.readChunks * size, alignment: 8) {
      (buffer) throws(Errno) -> Int? in
      func prefix(_ index: Int) -> IndexPrefix {
        IndexPrefix(UnsafeRawBufferPointer(rebasing: buffer[(index * size)...]))
      }
      var guesses = 0
      while low < high {
        guard wanted.w0 >= lowest, wanted.w0 <= highest else { return nil }
        // Ids that are not spread evenly, as no honest writer's are, are found by halving.
        let share = highest == lowest || guesses >= 8 ? 0.5 : Double(wanted.w0 - lowest) / Double(highest - lowest)
        guesses += 1
        let guess = low + Int(share * Double(high - low))
        let start = max(low, min(guess - Self.readChunks / 2, high - Self.readChunks))
        let count = min(Self.readChunks, high - start)
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(count * size)])
        try file.read(at: head.chunksStart + start * size, into: part)
        let first = prefix(0)
        let last = prefix(count - 1)
        if wanted < first {
          high = start
          highest = first.w0
        } else if last < wanted {
          low = start + count
          lowest = last.w0
        } else {
          var from = 0
          var to = count
          while from < to {
            let middle = (from + to) / 2
            let here = prefix(middle)
            if here == wanted { return start + middle }
            if here < wanted { from = middle + 1 } else { to = middle }
          }
          return nil
        }
      }
      return nil
    }
  }

  /// Chunks that are read at once: half a page.
  private static let readChunks = 64

  /// Gives back the memory that going through the segment has taken; its content stays in the page cache.
  package func releaseMemory() { file.releaseMemory() }

  /// As `chunk`, for one that was looked up.
  private func lookUpChunk(_ index: Int) throws(Errno) -> (block: Int, offset: UInt32, length: UInt32) {
    let at = head.chunksStart + index * IndexLayout.chunkSize + IndexLayout.prefixSize
    let (start, end) = try look(at, IndexLayout.chunkSize - IndexLayout.prefixSize)
    return (
      Int(UInt32(truncatingIfNeeded: start)), UInt32(truncatingIfNeeded: start >> 32), UInt32(truncatingIfNeeded: end)
    )
  }

  /// Up to 16 bytes from an offset, as two little-endian numbers, for who goes through the segment.
  private func mapped(_ offset: Int, _ count: Int) -> (UInt64, UInt64) {
    var words = (UInt64(0), UInt64(0))
    withUnsafeMutableBytes(of: &words) {
      $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: file.bytes[offset..<(offset + count)]))
    }
    return (UInt64(littleEndian: words.0), UInt64(littleEndian: words.1))
  }

  /// The same for who looks at single bytes.
  private func look(_ offset: Int, _ count: Int) throws(Errno) -> (UInt64, UInt64) {
    guard file.isLarge else { return mapped(offset, count) }
    var words = (UInt64(0), UInt64(0))
    try withUnsafeMutableBytes(of: &words) { (bytes) throws(Errno) in
      try file.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<count]))
    }
    return (UInt64(littleEndian: words.0), UInt64(littleEndian: words.1))
  }

  private func id(at offset: Int) -> ObjectID {
    ObjectID(UnsafeRawBufferPointer(rebasing: file.bytes[offset..<(offset + 32)]))
  }
  private func load<I: FixedWidthInteger>(_ offset: Int, _ type: I.Type) -> I {
    I(littleEndian: file.bytes.loadUnaligned(fromByteOffset: offset, as: I.self))
  }
}

/// The first 20 bytes of a chunk's id, comparable as bytes.
package struct IndexPrefix: Hashable, Comparable, Sendable {
  package let w0, w1: UInt64
  package let w2: UInt32
  init(w0: UInt64, w1: UInt64, w2: UInt32) {
    self.w0 = w0
    self.w1 = w1
    self.w2 = w2
  }
  package init(_ id: ObjectID) {
    w0 = id.w0
    w1 = id.w1
    w2 = UInt32(truncatingIfNeeded: id.w2 >> 32)
  }
  /// From the first 20 bytes.
  init(_ bytes: UnsafeRawBufferPointer) {
    w0 = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
    w1 = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    w2 = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt32.self))
  }
  package static func < (a: IndexPrefix, b: IndexPrefix) -> Bool { (a.w0, a.w1, a.w2) < (b.w0, b.w1, b.w2) }
  package func hash(into hasher: inout Hasher) { hasher.combine(w0) }
}
