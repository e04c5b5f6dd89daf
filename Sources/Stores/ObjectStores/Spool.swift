internal import Glibc
internal import Platform
internal import Synchronization
package import Reporting

/// Room on this machine for objects that are not whole yet, in files without a name: what a process leaves behind, however
/// it ends, is nothing.
package final class Spool: Sendable {
  private let folder: String
  private let sizeMax: UInt64
  private let used = Mutex<UInt64>(0)

  /// `folder` is made when it is needed. All objects together take at most `sizeMax` bytes there. A backup has some six
  /// of 64 MiB on their way at a time.
  package init(folder: String, sizeMax: UInt64 = 2 << 30) {
    self.folder = folder
    self.sizeMax = sizeMax
  }

  /// Bytes of the objects that are in it.
  package var size: UInt64 { used.withLock { $0 } }

  /// Throws where no file can be made.
  package func makeFile() throws(YesterError) -> SpoolFile {
    do throws(Errno) {
      try Directory.makeAll(folder)
      return SpoolFile(try Self.unnamedFile(in: folder), self)
    } catch {
      throw failure("Making a temporary file in", error)
    }
  }

  private static func unnamedFile(in folder: String) throws(Errno) -> Descriptor {
    do throws(Errno) {
      return try Descriptor.temporary(in: folder)
    } catch {
      // FAT and NFS have no files without a name.
      guard [.notSupported, .isDirectory, .invalid, .notImplemented].contains(error) else { throw error }
    }
    let path = (folder + "/" + Hex.encode(System.random(16))).pathBytes
    let file = try Descriptor.open(path, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
    try FileSystem.removeFile(path, at: nil)
    return file
  }

  fileprivate func reserve(_ count: UInt64) throws(YesterError) {
    let isRoom = used.withLock { used in
      guard sizeMax - used >= count else { return false }
      used += count
      return true
    }
    guard isRoom else {
      throw YesterError(
        .failed, "Objects on their way to the repository take more than \(sizeMax >> 20) MiB in \(folder)",
        advice: "Run the command again; what was stored is used again.")
    }
  }

  fileprivate func release(_ count: UInt64) { used.withLock { $0 -= count } }

  fileprivate func failure(_ doing: String, _ error: Errno) -> YesterError { .system(doing, folder, error) }
}

/// One object in a spool. It takes no room any more when the last reference to it goes.
package final class SpoolFile: ObjectContent {
  private let file: Descriptor
  private let spool: Spool
  private let length = Mutex<UInt64>(0)

  init(_ file: Descriptor, _ spool: Spool) {
    self.file = file
    self.spool = spool
  }

  deinit { spool.release(size) }

  package var size: UInt64 { length.withLock { $0 } }

  /// From one thread at a time. After an error the object is not to be used.
  func append(_ bytes: UnsafeRawBufferPointer) throws(YesterError) {
    try spool.reserve(UInt64(bytes.count))
    let offset = length.withLock { length in
      defer { length += UInt64(bytes.count) }
      return length
    }
    do throws(Errno) {
      try file.write(bytes, at: Int64(offset))
    } catch {
      throw spool.failure("Writing a temporary file in", error)
    }
  }

  package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(YesterError) {
    let got: Int
    do throws(Errno) {
      got = try file.read(into: buffer, at: Int64(offset))
    } catch {
      throw spool.failure("Reading a temporary file in", error)
    }
    guard got == buffer.count else { throw spool.failure("Reading a temporary file in", .inputOutput) }
  }
}
