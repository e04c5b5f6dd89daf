internal import RepositoryCore
internal import Glibc
package import Platform
internal import Reporting
package import RepositoryFormat
package import SnapshotTree

/// Compares a live file's bytes with those of a snapshot.
package struct LiveContent {
  private let content: FileContentReader
  private let buffer = Bytes(capacity: Limits.chunkSizeMax)

  package init(_ content: FileContentReader) { self.content = content }

  /// The very inode with the very times is the file that was backed up: it needs no reading.
  package static func isSurelySame(_ entry: Entry, _ status: FileStatus) -> Bool {
    status.size == entry.size && status.inode == entry.sourceInode && status.changed == entry.changed
      && status.modified == entry.modified
  }

  /// Reads both and compares, to the first difference. `size` must be that of the live file as well. An `Errno` is
  /// the live file's.
  package func isSame(
    _ name: [UInt8],
    in directory: Descriptor,
    _ size: UInt64,
    _ body: FileContent,
    stop: CancellationFlag
  ) throws -> Bool {
    let file = try Descriptor.open(name, at: directory, Descriptor.noFollow | O_NONBLOCK)
    var isSame = true
    try content.forEachPiece(of: body, size: size, from: 0) { offset, piece in
      if stop.isRaised { throw Stopped() }
      if let chunk = piece.chunk {
        let slice = try content.chunk(chunk, length: piece.length)
        let part = buffer.whole.rebased(slice.count)
        isSame =
          try file.read(into: part, at: Int64(offset)) == part.count
          && slice.withBytes { $0.equals(UnsafeRawBufferPointer(part)) }
      } else {
        isSame = try isZero(file, from: offset, count: piece.length, stop)
      }
      return isSame
    }
    return isSame
  }

  /// A hole reads as zeros; where the live file has a hole as well, nothing needs to be read.
  private func isZero(
    _ file: Descriptor,
    from start: UInt64,
    count: UInt64,
    _ stop: CancellationFlag
  ) throws -> Bool {
    var at = start
    let end = start + count
    while at < end {
      if stop.isRaised { throw Stopped() }
      guard let data = try file.nextData(from: Int64(at)), UInt64(data) < end else { return true }
      at = UInt64(data)
      let part = buffer.whole.rebased(Int(min(end - at, UInt64(buffer.capacity))))
      let got = try file.read(into: part, at: Int64(at))
      if got == 0 || part[..<got].contains(where: { $0 != 0 }) { return false }
      at += UInt64(got)
    }
    return true
  }
}
