internal import CLinux
internal import Glibc

/// An open file descriptor, closed with its last reference.
package final class Descriptor: Sendable {
  package let raw: CInt

  package init(owning raw: CInt) { self.raw = raw }
  deinit { _ = Glibc.close(raw) }

  /// `openat(2)`; close-on-exec is always set. `path` is relative to `directory`, or to the working directory.
  package static func open(
    _ path: [UInt8], at directory: Descriptor? = nil, _ flags: CInt = O_RDONLY, mode: UInt32 = 0
  ) throws(Errno) -> Descriptor {
    let result = path.withCPath { yl_openat(directory?.raw ?? yl_at_fdcwd, $0, flags | yl_o_cloexec, mode) }
    return Descriptor(owning: CInt(try Errno.check(result)))
  }
  package static func open(
    _ path: String, at directory: Descriptor? = nil, _ flags: CInt = O_RDONLY, mode: UInt32 = 0
  ) throws(Errno) -> Descriptor {
    try open(path.pathBytes, at: directory, flags, mode: mode)
  }

  /// A pipe, of which no other program inherits an end.
  package static func pipe() throws(Errno) -> (reading: Descriptor, writing: Descriptor) {
    var ends: (CInt, CInt) = (-1, -1)
    try Errno.check(yl_pipe(&ends.0, &ends.1))
    return (Descriptor(owning: ends.0), Descriptor(owning: ends.1))
  }

  /// A second descriptor of standard input.
  package static func standardInput() throws(Errno) -> Descriptor {
    Descriptor(owning: try posix(fcntl(0, F_DUPFD_CLOEXEC, 3)))
  }

  /// Fills as much of `buffer` as there is data for; less only at the end of the file.
  package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(Errno) -> Int {
    var done = 0
    while done < buffer.count, let base = buffer.baseAddress {
      let got = Glibc.pread(raw, base + done, buffer.count - done, off_t(offset) + done)
      if got < 0 {
        if errno == EINTR { continue }
        throw .current
      }
      if got == 0 { break }
      done += got
    }
    return done
  }

  /// One `read(2)` at the current position; 0 at the end.
  package func readSome(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    while true {
      let got = Glibc.read(raw, buffer.baseAddress, buffer.count)
      if got >= 0 { return got }
      if errno != EINTR { throw .current }
    }
  }

  package func write(_ bytes: UnsafeRawBufferPointer) throws(Errno) {
    var done = 0
    while done < bytes.count, let base = bytes.baseAddress {
      let put = Glibc.write(raw, base + done, bytes.count - done)
      if put < 0 {
        if errno == EINTR { continue }
        throw .current
      }
      done += put
    }
  }
  package func write(_ bytes: [UInt8]) throws(Errno) {
    let result: Result<Void, Errno> = bytes.withUnsafeBytes { raw in
      do throws(Errno) {
        return .success(try write(raw))
      } catch {
        return .failure(error)
      }
    }
    try result.get()
  }

  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(Errno) {
    var done = 0
    while done < bytes.count, let base = bytes.baseAddress {
      let put = Glibc.pwrite(raw, base + done, bytes.count - done, off_t(offset) + done)
      if put < 0 {
        if errno == EINTR { continue }
        throw .current
      }
      done += put
    }
  }

  /// Has the system begin to write a stretch to the disk, so that `sync` waits for less. Where that cannot be asked for,
  /// nothing happens.
  package func startWriting(offset: Int64, length: Int64) { _ = yl_start_writing(raw, offset, length) }
  package func sync() throws(Errno) { try posix(Glibc.fsync(raw)) }
  /// Waits for everything that was written to the file system on which it lies.
  package func syncFileSystem() throws(Errno) { try Errno.check(yl_syncfs(raw)) }
  package func truncate(to size: Int64) throws(Errno) { try posix(Glibc.ftruncate(raw, off_t(size))) }
  package func seek(_ offset: Int64, _ whence: CInt) throws(Errno) -> Int64 {
    let result = Glibc.lseek(raw, off_t(offset), whence)
    if result < 0 { throw .current }
    return Int64(result)
  }

  package func status() throws(Errno) -> FileStatus { try FileStatus(of: [], at: self, .theDescriptor) }

  /// The whole content of a small file; more than `limit` bytes is an error (EFBIG).
  package func readAll(limit: Int) throws(Errno) -> [UInt8] {
    var out: [UInt8] = []
    let chunk = Bytes(capacity: 65536)
    while true {
      let got = try readSome(into: chunk.whole)
      if got == 0 { return out }
      if out.count + got > limit { throw .tooLarge }
      out.append(contentsOf: UnsafeRawBufferPointer(rebasing: chunk.whole[..<got]))
    }
  }
}

/// Throws the current errno when a call of libc failed.
@discardableResult
package func posix<I: SignedInteger>(_ result: I) throws(Errno) -> I {
  if result < 0 { throw .current }
  return result
}

extension [UInt8] {
  /// The bytes as a C string. A path with a zero byte inside would be cut there; callers check names first.
  @inline(__always)
  package func withCPath<Value>(_ body: (UnsafePointer<CChar>) -> Value) -> Value {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: count + 1) { buffer in
      for (at, byte) in enumerated() { buffer[at] = CChar(bitPattern: byte) }
      buffer[count] = 0
      guard let base = buffer.baseAddress else { preconditionFailure("a buffer of at least one byte has an address") }
      return body(base)
    }
  }
}
