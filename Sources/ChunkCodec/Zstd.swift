internal import CZstd
package import Platform
internal import RepositoryFormat

/// zstd with its contexts, for one thread at a time.
package final class Zstd {
  private let compressor: OpaquePointer
  private let decompressor: OpaquePointer
  private let level: CInt

  package static let levels: ClosedRange<Int> = 1...19

  package init(level: Int = 3) {
    guard let compressor = ZSTD_createCCtx(), let decompressor = ZSTD_createDCtx() else {
      fatalError("there is no memory for zstd")  // reason: a few MiB at the start of the program
    }
    self.compressor = compressor
    self.decompressor = decompressor
    self.level = CInt(level)
  }

  deinit {
    ZSTD_freeCCtx(compressor)
    ZSTD_freeDCtx(decompressor)
  }

  /// One frame; nil when it does not come out smaller than `room`.
  package func compress(_ plain: UnsafeRawBufferPointer, into out: UnsafeMutableRawPointer, room: Int) -> Int? {
    let size = ZSTD_compressCCtx(compressor, out, room, plain.baseAddress, plain.count, level)
    return ZSTD_isError(size) != 0 ? nil : size
  }

  /// Exactly `out.count` bytes must come out.
  package func decompress(
    _ packed: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer
  ) throws(FormatError) {
    let size = ZSTD_decompressDCtx(decompressor, out.baseAddress, out.count, packed.baseAddress, packed.count)
    guard ZSTD_isError(size) == 0, size == out.count else { throw FormatError("its compressed data is damaged") }
  }
}
