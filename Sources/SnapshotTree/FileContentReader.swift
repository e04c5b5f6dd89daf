package import Platform
package import RepositoryFormat
internal import RepositoryStore

/// Reads the bytes of files. For any thread.
package struct FileContentReader: Sendable {
  private let tree: TreeStore
  private let keySet: KeySetID

  package init(tree: TreeStore, keySet: KeySetID) {
    self.tree = tree
    self.keySet = keySet
  }

  /// Calls `body` with each piece that touches the range, in order: its offset in the file and the piece. It returns
  /// false to end.
  package func forEachPiece(
    of content: FileContent, size: UInt64, from start: UInt64,
    _ body: (_ offset: UInt64, ContentPiece) throws -> Bool
  ) throws {
    switch content {
    case .empty: return
    case .single(let digest):
      _ = try body(0, ContentPiece(length: size, chunk: try chunkID(digest)))
    case .pieces(_, let pieces):
      var offset: UInt64 = 0
      _ = try visit(pieces, &offset, start, body)
    case .lists(_, let lists):
      var offset: UInt64 = 0
      _ = try visit(lists, &offset, start, level: nil, body)
    }
  }

  private func chunkID(_ digest: Digest) throws -> ObjectID {
    guard let id = tree.reader.chunkID(digest, keySet) else {
      throw YesterError(.wrongKey, "This key slot does not hold the keys of this snapshot")
    }
    return id
  }

  private func visit(
    _ pieces: [ContentPiece], _ offset: inout UInt64, _ start: UInt64, _ body: (UInt64, ContentPiece) throws -> Bool
  ) throws -> Bool {
    for piece in pieces {
      let here = offset
      offset += piece.length
      if offset > start, try !body(here, piece) { return false }
    }
    return true
  }

  /// `level` is that of the lists themselves; nil when not known yet.
  private func visit(
    _ lists: [ContentListReference], _ offset: inout UInt64, _ start: UInt64, level: Int?,
    _ body: (UInt64, ContentPiece) throws -> Bool
  ) throws -> Bool {
    for reference in lists {
      guard offset + reference.length > start else {
        offset += reference.length
        continue
      }
      let goOn: Bool
      switch try tree.contentList(reference.list, covering: reference.length) {
      case .pieces(let pieces) where level == nil || level == 0: goOn = try visit(pieces, &offset, start, body)
      case .lists(let found, let inner) where level == nil || level == found:
        goOn = try visit(inner, &offset, start, level: found - 1, body)
      default:
        throw YesterError.damaged(
          "The tree object \(reference.list.short)", FormatError("a content list has the wrong level"))
      }
      if !goOn { return false }
    }
    return true
  }

  /// Fills `buffer` from `offset`; less only at the end of the file. Holes read as zeros.
  package func read(
    _ content: FileContent, size: UInt64, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws -> Int {
    guard offset < size, let base = buffer.baseAddress else { return 0 }
    let end = min(size, offset + UInt64(buffer.count))
    try forEachPiece(of: content, size: size, from: offset) { start, piece in
      guard start < end else { return false }
      let from = max(offset, start)
      let until = min(end, start + piece.length)
      let target = base + Int(from - offset)
      let count = Int(until - from)
      if let chunk = piece.chunk {
        let slice = try self.chunk(chunk, length: piece.length)
        guard let source = slice.raw.baseAddress else { return false }
        target.copyMemory(from: source + Int(from - start), byteCount: count)
      } else {
        target.initializeMemory(as: UInt8.self, repeating: 0, count: count)
      }
      return until < end
    }
    return Int(end - offset)
  }

  /// A data chunk that must have the length its file says.
  package func chunk(_ id: ObjectID, length: UInt64) throws -> BytesSlice {
    let slice = try tree.reader.chunk(id, kind: .data)
    guard UInt64(slice.count) == length else {
      throw YesterError.damaged("The chunk \(id.short)", FormatError("its length is not what its file says"))
    }
    return slice
  }

  /// Bytes that are not holes.
  package func dataSize(_ content: FileContent, size: UInt64) throws -> UInt64 {
    switch content {
    case .empty, .single: return size
    case .pieces(_, let pieces): return pieces.reduce(0) { $0 + ($1.chunk == nil ? 0 : $1.length) }
    case .lists:
      var sum: UInt64 = 0
      try forEachPiece(of: content, size: size, from: 0) { _, piece in
        if piece.chunk != nil { sum += piece.length }
        return true
      }
      return sum
    }
  }

  /// As `lseek(2)`: the next data or hole at or behind `offset`. Nil when there is no data any more; the end of the
  /// file is a hole.
  package func seek(
    _ content: FileContent, size: UInt64, from offset: UInt64, toHole: Bool
  ) throws -> UInt64? {
    var found: UInt64?
    try forEachPiece(of: content, size: size, from: offset) { start, piece in
      if (piece.chunk == nil) == toHole {
        found = max(start, offset)
        return false
      }
      return true
    }
    return found ?? (toHole ? size : nil)
  }
}
