internal import Glibc

/// A file mapped read-only into memory. It must not be truncated while mapped; our own caches are only replaced.
///
/// `@unchecked Sendable`: the mapping is never written.
package final class MappedFile: @unchecked Sendable {
  package let bytes: UnsafeRawBufferPointer

  package init(_ path: String) throws(Errno) {
    let file = try Descriptor.open(path)
    let size = Int(clamping: try file.status().size)
    if size == 0 {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    guard let base = Glibc.mmap(nil, size, PROT_READ, MAP_SHARED, file.raw, 0), base != MAP_FAILED else {
      throw .current
    }
    madvise(base, size, CInt(MADV_RANDOM))
    bytes = UnsafeRawBufferPointer(start: base, count: size)
  }

  deinit {
    if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
  }
}
