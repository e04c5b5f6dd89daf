internal import ChunkCodec
package import Platform
package import RepositoryFormat

/// Reads one file, cuts it and stores its chunks. One thread at a time; its buffers are used again for each file.
package final class FileIngest {
  /// Holes beyond this make the SHA-256 of the whole too expensive: it would take longer than the backup.
  package static let hashedHolesMax: UInt64 = 1 << 30
  private static let inlinePiecesMax = 64
  private static let listPiecesMax = 4096

  private let writer: TreeWriter
  private let cutter: Cutter
  private let fileHash = SHA256()
  private let buffer = Bytes(capacity: 2 * Cutter.sizeMax)
  private let zeros = Bytes(capacity: 1 << 20)
  private let isStopped: () -> Bool
  private let didRead: (Int) -> Void

  package init(
    _ writer: TreeWriter, chunkerSeed: [UInt8], isStopped: @escaping () -> Bool, didRead: @escaping (Int) -> Void
  ) {
    self.writer = writer
    self.isStopped = isStopped
    self.didRead = didRead
    cutter = Cutter(seed: chunkerSeed)
    zeros.whole.initializeMemory(as: UInt8.self, repeating: 0)
    zeros.count = zeros.capacity
  }

  package struct Result {
    package let size: UInt64
    package let content: FileContent
  }

  /// Stores what the file holds now, up to `size` bytes. `blocks` (of 512 bytes) tells whether it may have holes.
  package func store(_ file: Descriptor, size: UInt64, blocks: UInt64) throws -> Result {
    if size == 0 { return Result(size: 0, content: .empty) }
    let mayHaveHoles = blocks < (size + 511) / 512
    if size <= UInt64(Cutter.wholeFileMax), !mayHaveHoles { return try storeWhole(file, Int(size)) }
    return try storePieces(file, size, mayHaveHoles: mayHaveHoles)
  }

  private func storeWhole(_ file: Descriptor, _ size: Int) throws -> Result {
    let got = try file.read(into: UnsafeMutableRawBufferPointer(start: buffer.base, count: size), at: 0)
    didRead(got)
    if got == 0 { return Result(size: 0, content: .empty) }
    let (_, digest) = try writer.store(data: UnsafeRawBufferPointer(start: buffer.base, count: got))
    return Result(size: UInt64(got), content: .single(digest))
  }

  private func storePieces(_ file: Descriptor, _ size: UInt64, mayHaveHoles: Bool) throws -> Result {
    var list = PieceList(writer)
    var offset: UInt64 = 0
    var holes: UInt64 = 0
    var isHashed = true
    fileHash.start()
    file.adviseSequential()
    while offset < size {
      let start = mayHaveHoles ? min(size, try file.nextData(from: Int64(offset)).map { UInt64($0) } ?? size) : offset
      if start > offset {
        holes += start - offset
        if holes > Self.hashedHolesMax { isHashed = false }
        if isHashed { hashZeros(start - offset) }
        try list.append(ContentPiece(length: start - offset, chunk: nil))
        offset = start
        if offset == size { break }
      }
      let end = mayHaveHoles ? min(size, UInt64(try file.nextHole(from: Int64(offset)))) : size
      let reached = try storeData(file, offset, end, isHashed: isHashed, &list)
      offset = reached
      if reached < end { break }  // The file is shorter than it was.
    }
    return Result(size: offset, content: offset == 0 ? .empty : try list.finish(isHashed ? fileHash.finish() : nil))
  }

  private func hashZeros(_ count: UInt64) {
    var left = count
    while left > 0 {
      let part = Int(min(left, UInt64(zeros.count)))
      fileHash.update(UnsafeRawBufferPointer(start: zeros.base, count: part))
      left -= UInt64(part)
    }
  }

  /// Cuts the stretch from `start` to `end`; how far it got.
  private func storeData(
    _ file: Descriptor, _ start: UInt64, _ end: UInt64, isHashed: Bool, _ list: inout PieceList
  ) throws -> UInt64 {
    var readTo = start
    var filled = 0
    var used = 0
    while true {
      if filled - used < Cutter.sizeMax && readTo < end {
        buffer.base.copyMemory(from: buffer.base + used, byteCount: filled - used)
        filled -= used
        used = 0
        let room = Int(min(UInt64(buffer.capacity - filled), end - readTo))
        let part = UnsafeMutableRawBufferPointer(start: buffer.base + filled, count: room)
        let got = try file.read(into: part, at: Int64(readTo))
        if isHashed { fileHash.update(UnsafeRawBufferPointer(start: part.baseAddress, count: got)) }
        didRead(got)
        readTo += UInt64(got)
        filled += got
        if got < room { return try cutRest(readTo, used: used, filled: filled, &list) }
        if isStopped() { throw Stopped() }
      }
      if used == filled { return readTo }
      used += try cutOne(used, filled, &list)
    }
  }

  private func cutRest(_ readTo: UInt64, used: Int, filled: Int, _ list: inout PieceList) throws -> UInt64 {
    var used = used
    while used < filled { used += try cutOne(used, filled, &list) }
    return readTo
  }

  private func cutOne(_ used: Int, _ filled: Int, _ list: inout PieceList) throws -> Int {
    let rest = UnsafeRawBufferPointer(start: buffer.base + used, count: filled - used)
    let length = cutter.cut(rest)
    let (id, _) = try writer.store(data: UnsafeRawBufferPointer(rebasing: rest[..<length]))
    try list.append(ContentPiece(length: UInt64(length), chunk: id))
    return length
  }

  /// Pieces on their way into an entry or, when there are many, into lists.
  private struct PieceList {
    private let writer: TreeWriter
    private var pieces: [ContentPiece] = []
    private var lists: [[ContentListReference]] = []

    init(_ writer: TreeWriter) { self.writer = writer }

    mutating func append(_ piece: ContentPiece) throws {
      pieces.append(piece)
      if pieces.count == FileIngest.listPiecesMax { try flushPieces() }
    }

    private mutating func flushPieces() throws {
      let length = pieces.reduce(0) { $0 + $1.length }
      let id = try writer.store(tree: ContentList.pieces(pieces).encode())
      pieces = []
      try add(ContentListReference(length: length, list: id), level: 0)
    }

    /// `level` is that of the list referred to.
    private mutating func add(_ reference: ContentListReference, level: Int) throws {
      if lists.count == level { lists.append([]) }
      lists[level].append(reference)
      if lists[level].count == FileIngest.listPiecesMax { try flush(level) }
    }

    private mutating func flush(_ level: Int) throws {
      let group = lists[level]
      let id = try writer.store(tree: ContentList.lists(level: level + 1, group).encode())
      lists[level] = []
      try add(ContentListReference(length: group.reduce(0) { $0 + $1.length }, list: id), level: level + 1)
    }

    mutating func finish(_ digest: Digest?) throws -> FileContent {
      if lists.isEmpty, pieces.count == 1, pieces[0].chunk != nil, let digest { return .single(digest) }
      if lists.isEmpty && pieces.count <= FileIngest.inlinePiecesMax { return .pieces(digest, pieces) }
      if !pieces.isEmpty { try flushPieces() }
      var level = 0
      // Lower levels that hold something go up, until only the topmost is left.
      while level + 1 < lists.count {
        if !lists[level].isEmpty { try flush(level) }
        level += 1
      }
      return .lists(digest, lists[level])
    }
  }
}

/// The run was told to stop.
package struct Stopped: Error { package init() {} }
