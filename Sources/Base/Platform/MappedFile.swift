internal import Glibc

/// A file mapped read-only into memory. It must not be truncated while mapped; our own caches are only replaced.
///
/// What is looked at here and there in a large file is better read by calls: each look at a mapping takes 64 KiB of
/// memory, the kernel's measure for what it maps around a fault, and looks at an index of some GiB come by the million.
///
/// `@unchecked Sendable`: the mapping is never written.
package final class MappedFile: @unchecked Sendable {
  package let bytes: UnsafeRawBufferPointer
  /// Whether single looks should be calls of `read`.
  package let isLarge: Bool
  private let file: Descriptor
  /// Up to here a file may be in memory as a whole.
  private static let smallMax = 4 << 20

  package init(_ path: String) throws(Errno) {
    file = try Descriptor.open(path)
    let size = Int(clamping: try file.status().size)
    isLarge = size > Self.smallMax
    if size == 0 {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    guard let base = Glibc.mmap(nil, size, PROT_READ, MAP_SHARED, file.raw, 0), base != MAP_FAILED else {
      throw .current
    }
    if !isLarge { madvise(base, size, CInt(MADV_RANDOM)) }
    bytes = UnsafeRawBufferPointer(start: base, count: size)
  }

  /// Fills `buffer` from `offset`, which must be within the file as it was mapped, without touching the mapping. Throws
  /// when the disk fails, and `inputOutput` when the file has become shorter.
  package func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    guard try file.read(into: buffer, at: Int64(offset)) == buffer.count else { throw .inputOutput }
  }

  /// Gives back the memory that going through the mapping has taken. The page cache still has the content.
  package func releaseMemory() {
    if let base = bytes.baseAddress {
      madvise(UnsafeMutableRawPointer(mutating: base), bytes.count, CInt(MADV_DONTNEED))
    }
  }

  deinit {
    if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
  }
}
