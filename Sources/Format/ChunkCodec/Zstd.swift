internal import CZstd
package import Platform

/// zstd with its contexts, for one thread at a time.
package final class Zstd {
  private let compressor: OpaquePointer
  private let decompressor: OpaquePointer

  package static let levels: ClosedRange<Int> = 1...19
  /// What is used unless a level is asked for: level 3's search in two tables, made small enough for a processor's
  /// second cache. On blocks of 1 MiB it is as fast as level 2 and nearly as small as level 3
  /// (docs/decisions/0009-how-data-is-cut-and-compressed.md).
  private static let bargain: [(ZSTD_cParameter, CInt)] = [
    (ZSTD_c_windowLog, 20), (ZSTD_c_chainLog, 14), (ZSTD_c_hashLog, 16), (ZSTD_c_searchLog, 1),
    (ZSTD_c_minMatch, 5), (ZSTD_c_targetLength, 0), (ZSTD_c_strategy, CInt(ZSTD_dfast.rawValue)),
  ]

  /// `level` is zstd's, from 1 to 19; without one, a setting that is the best bargain.
  package init(level: Int? = nil) {
    guard let compressor = ZSTD_createCCtx(), let decompressor = ZSTD_createDCtx() else {
      fatalError("there is no memory for zstd")  // reason: a few MiB at the start of the program
    }
    self.compressor = compressor
    self.decompressor = decompressor
    // Within the ranges that zstd documents: it has no reason to refuse.
    if let level {
      _ = ZSTD_CCtx_setParameter(compressor, ZSTD_c_compressionLevel, CInt(level))
    } else {
      for (parameter, value) in Self.bargain { _ = ZSTD_CCtx_setParameter(compressor, parameter, value) }
    }
  }

  deinit {
    ZSTD_freeCCtx(compressor)
    ZSTD_freeDCtx(decompressor)
  }

  /// One frame; nil when it does not come out smaller than `room`.
  package func compress(_ plain: UnsafeRawBufferPointer, into out: UnsafeMutableRawPointer, room: Int) -> Int? {
    let size = ZSTD_compress2(compressor, out, room, plain.baseAddress, plain.count)
    return ZSTD_isError(size) != 0 ? nil : size
  }

  /// Exactly `out.count` bytes must come out.
  package func decompress(
    _ packed: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer
  ) throws(FormatError) {
    let size = ZSTD_decompressDCtx(decompressor, out.baseAddress, out.count, packed.baseAddress, packed.count)
    guard ZSTD_isError(size) == 0, size == out.count else { throw FormatError("its compressed data is damaged") }
  }

  /// Unpacks the beginning of a frame: at least `count` bytes of it, unless it fails. How many bytes of `out`, which has
  /// room for all of the frame, are good then.
  package func decompress(
    _ packed: UnsafeRawBufferPointer, upTo count: Int, into out: UnsafeMutableRawBufferPointer
  ) throws(FormatError) -> Int {
    let failure = FormatError("its compressed data is damaged")
    guard count <= out.count, ZSTD_isError(ZSTD_DCtx_reset(decompressor, ZSTD_reset_session_only)) == 0 else {
      throw failure
    }
    var output = ZSTD_outBuffer(dst: out.baseAddress, size: out.count, pos: 0)
    var input = ZSTD_inBuffer(src: packed.baseAddress, size: 0, pos: 0)
    while output.pos < count {
      // What is handed in is unpacked as far as it goes, so that it has to come in small steps.
      input.size = min(packed.count, input.pos + Self.stepSize)
      let before = (input.pos, output.pos)
      let hint = ZSTD_decompressStream(decompressor, &output, &input)
      guard ZSTD_isError(hint) == 0 else { throw failure }
      // The frame ended too early, or goes on and on without giving anything.
      guard hint > 0 || output.pos >= count, before != (input.pos, output.pos) else { throw failure }
    }
    return output.pos
  }
  private static let stepSize = 16 << 10
}
