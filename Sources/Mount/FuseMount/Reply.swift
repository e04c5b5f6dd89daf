internal import CFuse
internal import Glibc
internal import Platform

/// The one answer to a request. It cannot be copied and every answer consumes it, so a second answer does not
/// compile; and when it is dropped without one the client gets EIO instead of waiting for ever.
///
/// What sending an answer returns is not looked at, but where the kernel holds nodes by it: it fails when the client has
/// been interrupted or the mount is gone, and there is nobody left to tell.
struct Reply: ~Copyable {
  private let request: fuse_req_t

  init(_ request: fuse_req_t) { self.request = request }

  deinit { fuse_reply_err(request, EIO) }

  consuming func error(_ error: Errno) {
    fuse_reply_err(request, error.rawValue)
    discard self
  }

  /// False when nobody has taken it.
  @discardableResult
  consuming func entry(_ entry: fuse_entry_param) -> Bool {
    let result = withUnsafePointer(to: entry) { fuse_reply_entry(request, $0) }
    discard self
    return result == 0
  }

  consuming func attributes(_ attributes: stat, seconds: Double) {
    withUnsafePointer(to: attributes) { _ = fuse_reply_attr(request, $0, seconds) }
    discard self
  }

  /// False when nobody has taken them.
  @discardableResult
  consuming func bytes(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let result = fuse_reply_buf(request, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
    discard self
    return result == 0
  }

  /// Bytes that lie in several places: the kernel copies them from there.
  consuming func parts(_ parts: [BytesSlice]) {
    if parts.count > Self.partsMax {
      // A file of very many small pieces and holes.
      var gathered: [UInt8] = []
      for part in parts { part.withBytes { gathered.append(contentsOf: $0) } }
      gathered.withUnsafeBytes { raw in
        _ = fuse_reply_buf(request, raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count)
      }
    } else {
      withUnsafeTemporaryAllocation(of: iovec.self, capacity: max(1, parts.count)) { vector in
        for (index, part) in parts.enumerated() {
          vector[index] = iovec(iov_base: UnsafeMutableRawPointer(mutating: part.raw.baseAddress), iov_len: part.count)
        }
        _ = withExtendedLifetime(parts) { fuse_reply_iov(request, vector.baseAddress, CInt(parts.count)) }
      }
    }
    discard self
  }

  /// writev(2) takes 1024, and libfuse adds one.
  private static let partsMax = 256

  /// Answers a question for a value or, when `room` is 0, for its length.
  consuming func value(_ value: [UInt8], room: Int) {
    if room == 0 {
      fuse_reply_xattr(request, value.count)
    } else if value.count > room {
      fuse_reply_err(request, ERANGE)
    } else {
      value.withUnsafeBytes { raw in
        _ = fuse_reply_buf(request, raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count)
      }
    }
    discard self
  }

  consuming func link(_ target: [UInt8]) {
    target.withCPath { _ = fuse_reply_readlink(request, $0) }
    discard self
  }

  consuming func opened(_ file: fuse_file_info) {
    withUnsafePointer(to: file) { _ = fuse_reply_open(request, $0) }
    discard self
  }

  consuming func position(_ offset: UInt64) {
    fuse_reply_lseek(request, off_t(clamping: offset))
    discard self
  }

  consuming func totals(_ totals: statvfs) {
    withUnsafePointer(to: totals) { _ = fuse_reply_statfs(request, $0) }
    discard self
  }
}
