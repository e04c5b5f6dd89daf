package import ChunkCodec
package import Platform
internal import Reporting
package import RepositoryCore
package import RepositoryFormat

/// Reads files and streams, cuts them into chunks and stores these. One thread at a time; its buffers are used again
/// for each file.
package final class FileIngest {
  /// Holes beyond this make the SHA-256 of the whole too expensive: it would take longer than the backup.
  static let hashedHolesMax: UInt64 = 1 << 30
  /// What is read at once of a large file: what a processor's second cache holds beside all else.
  private static let readSize = 256 << 10
  private static let inlinePiecesMax = 64
  private static let listPiecesMax = 4096

  private let namer: ChunkNamer
  private let chunker: Chunker
  private let fileHash = SHA256()
  private var pages = UncachedReader()
  private lazy var buffer = Bytes(capacity: Chunker.sizeMax + Self.readSize)
  private lazy var zeros = Self.makeZeros()
  private let isStopped: @Sendable () -> Bool
  private let didRead: @Sendable (Int) -> Void
  private let didSkip: @Sendable (UInt64) -> Void

  /// `didRead` is told of the bytes that were read, `didSkip` of holes.
  package init(
    _ keySet: KeySet, isStopped: @escaping @Sendable () -> Bool, didRead: @escaping @Sendable (Int) -> Void,
    didSkip: @escaping @Sendable (UInt64) -> Void
  ) {
    namer = ChunkNamer(keySet)
    chunker = Chunker(seed: keySet.record.chunkerSeed)
    self.isStopped = isStopped
    self.didRead = didRead
    self.didSkip = didSkip
  }

  private static func makeZeros() -> Bytes {
    let zeros = Bytes(capacity: 1 << 20)
    zeros.whole.initializeMemory(as: UInt8.self, repeating: 0)
    zeros.count = zeros.capacity
    return zeros
  }

  /// A file that is stored already, under another of its names.
  package func pass(size: UInt64) { didSkip(size) }

  package struct Result: Sendable {
    package let size: UInt64
    package let content: FileContent
    /// One call has read all of it, as far as its size was known before.
    package let isOneRead: Bool
  }

  /// Where a file's chunks go: data to the lane, content lists to the sink.
  package struct Target {
    package let lane: ChunkLane
    package let sink: any ChunkSink

    package init(lane: ChunkLane, sink: any ChunkSink) {
      self.lane = lane
      self.sink = sink
    }
  }

  /// Stores what the file holds now, up to `size` bytes. `blocks` (of 512 bytes) tells whether it may have holes. Throws
  /// `Errno` when reading fails, `YesterError` when storing does, and `Stopped`.
  package func store(_ file: Descriptor, size: UInt64, blocks: UInt64, to target: Target) throws -> Result {
    if size == 0 { return Result(size: 0, content: .empty, isOneRead: true) }
    let mayHaveHoles = blocks < (size + 511) / 512
    if size <= UInt64(Chunker.wholeFileMax), !mayHaveHoles { return try storeWhole(file, Int(size), target.lane) }
    return try storePieces(file, size, mayHaveHoles: mayHaveHoles, target)
  }

  /// Stores what comes, to its end, which `finish` of the stream has still to confirm.
  package func store(_ stream: any ByteStream, to target: Target) throws -> Result {
    var list = PieceList(TreeWriter(namer, target.sink))
    var holes = HoleCount()
    var size: UInt64 = 0
    var cuts = Cuts(chunker, size: nil)
    fileHash.start()
    var hole = try stream.nextHole()
    repeat {
      if hole > 0 {
        guard hole < Limits.fileSizeMax - size else { throw Self.tooLarge }
        try store(hole: hole, &holes, &list)
        size += hole
      }
      size = try storeData(size, Limits.fileSizeMax, &cuts, isHashed: holes.isHashed, target.lane, &list) { piece, _ in
        try stream.read(into: piece)
      }
      // Nobody has looked then whether more follows.
      guard size < Limits.fileSizeMax else { throw Self.tooLarge }
      hole = try stream.nextHole()
    } while hole > 0
    let content = size == 0 ? .empty : try list.finish(holes.isHashed ? fileHash.finish() : nil)
    return Result(size: size, content: content, isOneRead: false)
  }

  private static var tooLarge: YesterError {
    YesterError(.failed, "What comes through a stream is larger than files can be", advice: "No snapshot was made.")
  }

  private func storeWhole(_ file: Descriptor, _ size: Int, _ lane: ChunkLane) throws -> Result {
    let room = try lane.room(size)
    let got = try pages.read(file, into: room, at: 0)
    didRead(got)
    if got == 0 { return Result(size: 0, content: .empty, isOneRead: false) }
    let (id, digest) = namer.name(UnsafeRawBufferPointer(rebasing: room[..<got]), .data)
    try lane.keep(id, count: got)
    return Result(size: UInt64(got), content: .single(digest), isOneRead: got == size)
  }

  private func storePieces(
    _ file: Descriptor, _ size: UInt64, mayHaveHoles: Bool, _ target: Target
  ) throws -> Result {
    var list = PieceList(TreeWriter(namer, target.sink))
    var offset: UInt64 = 0
    var holes = HoleCount()
    var cuts = Cuts(chunker, size: size)
    fileHash.start()
    file.adviseSequential()
    let isDropped = !pages.isSupported && !file.isCached(size: size)
    defer { if isDropped { file.adviseDontNeed(offset: 0, length: 0) } }
    while offset < size {
      let start = mayHaveHoles ? min(size, try file.nextData(from: Int64(offset)).map { UInt64($0) } ?? size) : offset
      if start > offset {
        try store(hole: start - offset, &holes, &list)
        offset = start
        if offset == size { break }
      }
      let end = mayHaveHoles ? min(size, UInt64(try file.nextHole(from: Int64(offset)))) : size
      let reached = try storeData(offset, end, &cuts, isHashed: holes.isHashed, target.lane, &list) { piece, at in
        try pages.read(file, into: piece, at: Int64(at))
      }
      offset = reached
      if reached < end { break }  // The file is shorter than it was.
    }
    let content = offset == 0 ? .empty : try list.finish(holes.isHashed ? fileHash.finish() : nil)
    return Result(size: offset, content: content, isOneRead: false)
  }

  /// Holes of one file so far.
  private struct HoleCount {
    var sum: UInt64 = 0
    /// Whether the file gets a SHA-256 of the whole.
    var isHashed: Bool { sum <= FileIngest.hashedHolesMax }
  }

  private func store(hole length: UInt64, _ holes: inout HoleCount, _ list: inout PieceList) throws {
    holes.sum.addClamped(length)
    didSkip(length)
    if holes.isHashed { hashZeros(length) }
    try list.append(ContentPiece(length: length, chunk: nil))
  }

  private func hashZeros(_ count: UInt64) {
    var left = count
    while left > 0 {
      let part = Int(min(left, UInt64(zeros.count)))
      fileHash.update(UnsafeRawBufferPointer(start: zeros.base, count: part))
      left -= UInt64(part)
    }
  }

  /// Cuts the stretch from `start` to `end`; how far it got. `read` fills a buffer from an offset on, less only at the
  /// end. What was read is hashed and looked through at once, while it is in the processor's cache.
  private func storeData(
    _ start: UInt64, _ end: UInt64, _ cuts: inout Cuts, isHashed: Bool, _ lane: ChunkLane, _ list: inout PieceList,
    read: (UnsafeMutableRawBufferPointer, UInt64) throws -> Int
  ) throws -> UInt64 {
    var readTo = start
    /// Bytes of the chunk at hand, at the beginning of the buffer.
    var filled = 0
    cuts.start(at: start)
    namer.start()
    while readTo < end {
      if isStopped() { throw Stopped() }
      let room = Int(min(UInt64(Self.readSize), end - readTo))
      let got = try buffer.withRoom(filled + room) { memory in
        let piece = UnsafeMutableRawBufferPointer(rebasing: memory[filled...])
        let got = try read(piece, readTo)
        if readTo == 0 { cuts.look(at: UnsafeRawBufferPointer(rebasing: piece[..<got])) }
        if isHashed { fileHash.update(UnsafeRawBufferPointer(rebasing: piece[..<got])) }
        var from = filled
        filled += got
        while let length = cuts.end(of: UnsafeRawBufferPointer(rebasing: memory[..<filled])) {
          namer.update(UnsafeRawBufferPointer(rebasing: memory[from..<length]))
          try add(UnsafeRawBufferPointer(rebasing: memory[..<length]), isPage: cuts.areAtPages, lane, &list)
          // The rest begins the next chunk.
          memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[length..<filled]))
          filled -= length
          from = 0
          cuts.start(at: cuts.start + UInt64(length))
          namer.start()
        }
        namer.update(UnsafeRawBufferPointer(rebasing: memory[from..<filled]))
        return got
      }
      didRead(got)
      readTo += UInt64(got)
      if got < room { break }  // The file is shorter than it was.
    }
    if filled > 0 {
      try buffer.withRoom(filled) { try add(UnsafeRawBufferPointer($0), isPage: cuts.areAtPages, lane, &list) }
    }
    return readTo
  }

  /// Stores the chunk whose bytes `namer` has had.
  private func add(
    _ chunk: UnsafeRawBufferPointer, isPage: Bool, _ lane: ChunkLane, _ list: inout PieceList
  ) throws {
    let id = namer.finish(.data)
    try lane.add(id, kind: .data, isPage: isPage, chunk)
    try list.append(ContentPiece(length: UInt64(chunk.count), chunk: id))
  }

  /// Where one file is cut: by its content, or at fixed places when it is one of pages.
  private struct Cuts {
    private let chunker: Chunker
    private let size: UInt64?
    private var position = Chunker.Position()
    private(set) var areAtPages = false
    /// Where the chunk at hand begins.
    private(set) var start: UInt64 = 0

    init(_ chunker: Chunker, size: UInt64?) {
      self.chunker = chunker
      self.size = size
    }

    /// `head` is what the file begins with.
    mutating func look(at head: UnsafeRawBufferPointer) { areAtPages = PagedFile.isPaged(head, size: size) }

    mutating func start(at offset: UInt64) {
      start = offset
      position = Chunker.Position()
    }

    /// As `Chunker.end`, for the chunk at hand.
    mutating func end(of data: UnsafeRawBufferPointer) -> Int? {
      guard areAtPages else { return chunker.end(of: data, &position) }
      let length = PagedFile.chunkSize - Int(start % UInt64(PagedFile.chunkSize))
      return data.count < length ? nil : length
    }
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
