internal import CLinux
internal import Glibc

/// Reads files that nobody will read again soon, without pushing what others need out of the page cache: a backup at
/// night must not make the machine slow in the morning. What was cached before stays cached.
package struct UncachedReader {
  /// Whether the kernel drops what only such reading brought into the cache (`RWF_DONTCACHE`, since Linux 6.14; not on
  /// all file systems).
  package private(set) var isSupported = true

  package init() {}

  /// As `Descriptor.read(into:at:)`.
  package mutating func read(
    _ file: Descriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: Int64
  ) throws(Errno) -> Int {
    var done = 0
    while isSupported, done < buffer.count, let base = buffer.baseAddress {
      let got = yl_pread_dontcache(file.raw, base + done, buffer.count - done, offset + Int64(done))
      switch got {
      case -Int(EINTR): continue
      case -Int(EOPNOTSUPP), -Int(EINVAL), -Int(ENOSYS): isSupported = false
      case 0: return done
      default: done += try Errno.check(got)
      }
    }
    if done == buffer.count { return done }
    let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
    return done + (try file.read(into: rest, at: offset + Int64(done)))
  }
}

extension Descriptor {
  /// Whether the beginning of the file, of `size` bytes, is in the page cache. Unknown counts as yes.
  package func isCached(size: UInt64) -> Bool { yl_is_cached(raw, Int(clamping: min(size, 16 << 20))) != 0 }
}
