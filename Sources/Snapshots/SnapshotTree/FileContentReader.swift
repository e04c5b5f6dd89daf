package import Platform
package import Reporting
package import RepositoryFormat

/// Reads the bytes of files. For any thread.
package struct FileContentReader: Sendable {
  private let tree: TreeStore
  private let keySet: KeySetID
  private let believesWriters: Bool

  /// With `believesWriters` what full writers have stored is not hashed again (docs/decisions/0025-small-reads.md): for
  /// who reads, not for who verifies.
  package init(tree: TreeStore, keySet: KeySetID, believesWriters: Bool = false) {
    self.tree = tree
    self.keySet = keySet
    self.believesWriters = believesWriters
  }

  /// Calls `body` with each piece that touches the range, in order: its offset in the file and the piece. It returns
  /// false to end. With `once` a list that a file names several times gives its pieces only the first time: a few
  /// lists that name each other can stand for more pieces than can ever be gone through. Throws what `body` throws, and
  /// `YesterError`.
  package func forEachPiece(
    of content: FileContent, size: UInt64, from start: UInt64, once: Bool = false,
    _ body: (_ offset: UInt64, ContentPiece) throws -> Bool
  ) throws {
    try forEachPiece(of: content, size: size, from: start, once: once, failing: { $0 as any Error }, body)
  }

  /// `failing` makes of an error of this reader's one of the kind that `body` throws.
  private func forEachPiece<Failure: Error>(
    of content: FileContent, size: UInt64, from start: UInt64, once: Bool = false,
    failing: (YesterError) -> Failure, _ body: (_ offset: UInt64, ContentPiece) throws(Failure) -> Bool
  ) throws(Failure) {
    switch content {
    case .empty: return
    case .single(let digest):
      let chunk: ObjectID
      do throws(YesterError) {
        chunk = try chunkID(digest)
      } catch {
        throw failing(error)
      }
      _ = try body(0, ContentPiece(length: size, chunk: chunk))
    case .pieces(_, let pieces):
      var offset: UInt64 = 0
      _ = try visit(pieces, &offset, start, body)
    case .lists(_, let lists):
      var offset: UInt64 = 0
      var visited: Set<ObjectID>? = once ? [] : nil
      _ = try visit(lists, &offset, start, level: nil, &visited, failing, body)
    }
  }

  private func chunkID(_ digest: Digest) throws(YesterError) -> ObjectID {
    guard let id = tree.reader.chunkID(digest, keySet) else {
      throw YesterError(.wrongKey, "This key slot does not hold the keys of this snapshot")
    }
    return id
  }

  private func visit<Failure: Error>(
    _ pieces: [ContentPiece], _ offset: inout UInt64, _ start: UInt64,
    _ body: (UInt64, ContentPiece) throws(Failure) -> Bool
  ) throws(Failure) -> Bool {
    for piece in pieces {
      let here = offset
      offset += piece.length
      if offset > start, try !body(here, piece) { return false }
    }
    return true
  }

  /// `level` is that of the lists themselves; nil when not known yet. `visited` are the lists that were gone through
  /// from their beginning and need not be again; nil when all do.
  private func visit<Failure: Error>(
    _ lists: [ContentListReference], _ offset: inout UInt64, _ start: UInt64, level: Int?,
    _ visited: inout Set<ObjectID>?, _ failing: (YesterError) -> Failure,
    _ body: (UInt64, ContentPiece) throws(Failure) -> Bool
  ) throws(Failure) -> Bool {
    for reference in lists {
      guard offset + reference.length > start else {
        offset += reference.length
        continue
      }
      let list: ContentList
      do throws(YesterError) {
        list = try tree.contentList(reference.list, covering: reference.length)
      } catch {
        throw failing(error)
      }
      guard offset < start || visited?.insert(reference.list).inserted ?? true else {
        offset += reference.length
        continue
      }
      let goOn: Bool
      switch list {
      case .pieces(let pieces) where level == nil || level == 0: goOn = try visit(pieces, &offset, start, body)
      case .lists(let found, let inner) where level == nil || level == found:
        goOn = try visit(inner, &offset, start, level: found - 1, &visited, failing, body)
      default: throw failing(wrongLevel(reference))
      }
      if !goOn { return false }
    }
    return true
  }

  /// The bytes from `offset`, `count` of them or as many as the file has, where they lie: parts of blocks, in order.
  /// Holes read as zeros.
  package func parts(
    of content: FileContent, size: UInt64, at offset: UInt64, count: Int
  ) throws(YesterError) -> [BytesSlice] {
    guard offset < size, count > 0 else { return [] }
    let end = min(size, offset.addingReportingOverflow(UInt64(count)).partialValue)
    var parts: [BytesSlice] = []
    try forEachPiece(of: content, size: size, from: offset, failing: { $0 }) { (start, piece) throws(YesterError) in
      guard start < end else { return false }
      let from = max(offset, start)
      let until = min(end, start + piece.length)
      if let chunk = piece.chunk {
        let range = Int(from - start)..<Int(until - start)
        let part = try self.part(of: chunk, length: piece.length, range)
        // A part keeps its whole block. So many blocks of an honest file are never needed at once.
        parts.append(parts.count < Self.blocksMax ? part : part.copy())
      } else {
        var left = Int(until - from)
        while left > 0 {
          let step = min(left, Self.zeros.count)
          parts.append(BytesSlice(Self.zeros, offset: 0, count: step))
          left -= step
        }
      }
      return until < end
    }
    return parts
  }

  /// Blocks that one answer may keep in memory.
  private static let blocksMax = 8

  /// What holes are answered with.
  private static let zeros = Bytes([UInt8](repeating: 0, count: 64 << 10))

  /// Fills `buffer` from `offset`; less only at the end of the file. Holes read as zeros.
  package func read(
    _ content: FileContent, size: UInt64, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(YesterError) -> Int {
    guard let base = buffer.baseAddress else { return 0 }
    var done = 0
    for part in try parts(of: content, size: size, at: offset, count: buffer.count) {
      part.withBytes { UnsafeMutableRawBufferPointer(start: base + done, count: $0.count).copyMemory(from: $0) }
      done += part.count
    }
    return done
  }

  /// A data chunk that must have the length its file says.
  package func chunk(_ id: ObjectID, length: UInt64) throws(YesterError) -> BytesSlice {
    if believesWriters, length <= UInt64(Limits.chunkSizeMax),
      let believed = try tree.reader.believed(id, length: Int(length), 0..<Int(length), isHereAndThere: false)
    {
      return believed
    }
    let slice = try tree.reader.chunk(id, kind: .data)
    guard UInt64(slice.count) == length else {
      throw YesterError.damaged("The chunk \(id.short)", FormatError("its length is not what its file says"))
    }
    return slice
  }

  /// Reads of up to so many bytes, from the midst of a chunk, are taken for those of somebody who reads here and there.
  private static let smallPartMax = 64 << 10

  private func part(of id: ObjectID, length: UInt64, _ range: Range<Int>) throws(YesterError) -> BytesSlice {
    if believesWriters, length <= UInt64(Limits.chunkSizeMax), range.count <= Self.smallPartMax,
      range.lowerBound > range.count,
      let part = try tree.reader.believed(id, length: Int(length), range, isHereAndThere: true)
    {
      return part
    }
    return try chunk(id, length: length).part(range)
  }

  /// Bytes that are not holes.
  package func dataSize(_ content: FileContent, size: UInt64) throws(YesterError) -> UInt64 {
    switch content {
    case .empty, .single: return size
    case .pieces(_, let pieces): return pieces.reduce(0) { $0 + ($1.chunk == nil ? 0 : $1.length) }
    case .lists(_, let lists):
      var known: [ObjectID: UInt64] = [:]
      return try dataSize(lists, level: nil, &known)
    }
  }

  /// `known` are the lists that were added up already.
  private func dataSize(
    _ lists: [ContentListReference], level: Int?, _ known: inout [ObjectID: UInt64]
  ) throws(YesterError) -> UInt64 {
    var sum: UInt64 = 0
    for reference in lists {
      let list = try tree.contentList(reference.list, covering: reference.length)
      if let size = known[reference.list] {
        sum += size
        continue
      }
      let size: UInt64
      switch list {
      case .pieces(let pieces) where level == nil || level == 0:
        size = try dataSize(.pieces(nil, pieces), size: reference.length)
      case .lists(let found, let inner) where level == nil || level == found:
        size = try dataSize(inner, level: found - 1, &known)
      default: throw wrongLevel(reference)
      }
      known[reference.list] = size
      sum += size
    }
    return sum
  }

  private func wrongLevel(_ reference: ContentListReference) -> YesterError {
    YesterError.damaged(
      "The tree object \(reference.list.short)", FormatError("a content list has the wrong level"))
  }

  /// As `lseek(2)`: the next data or hole at or behind `offset`. Nil when there is no data any more; the end of the
  /// file is a hole.
  package func seek(
    _ content: FileContent, size: UInt64, from offset: UInt64, toHole: Bool
  ) throws(YesterError) -> UInt64? {
    var found: UInt64?
    try forEachPiece(
      of: content, size: size, from: offset, once: true, failing: { $0 }
    ) { (start, piece) throws(YesterError) in
      if (piece.chunk == nil) == toHole {
        found = max(start, offset)
        return false
      }
      return true
    }
    return found ?? (toHole ? size : nil)
  }
}
