internal import CLinux
internal import Glibc

/// Names in a directory, as bytes, in the order the kernel gives them, without `.` and `..`.
package enum Directory {
  /// Calls `body` for each name, which is only valid during the call; `type` is a `DT_` value.
  package static func forEachName(
    _ directory: Descriptor, _ body: (UnsafeRawBufferPointer, UInt8) throws(Errno) -> Void
  ) throws(Errno) {
    // Larger ones would come fresh from the system each time, and save little.
    let buffer = Bytes(capacity: 64 << 10)
    while true {
      let got = try Errno.check(yl_getdents(directory.raw, buffer.base, buffer.capacity))
      if got == 0 { return }
      var at = 0
      while at < got {
        // struct linux_dirent64: u64 inode, i64 offset, u16 record length, u8 type, name.
        let length = Int(buffer.base.loadUnaligned(fromByteOffset: at + 16, as: UInt16.self))
        let type = buffer.base.load(fromByteOffset: at + 18, as: UInt8.self)
        let name = buffer.base + at + 19
        let count = strlen(name.assumingMemoryBound(to: CChar.self))
        let bytes = UnsafeRawBufferPointer(start: name, count: count)
        if !isDots(bytes) { try body(bytes, type) }
        at += length
      }
    }
  }

  private static func isDots(_ name: UnsafeRawBufferPointer) -> Bool {
    name.count <= 2 && name.allSatisfy { $0 == 0x2E }
  }

  /// All names of a small directory, sorted.
  package static func names(_ directory: Descriptor) throws(Errno) -> [[UInt8]] {
    var out: [[UInt8]] = []
    try forEachName(directory) { (name, _) throws(Errno) in out.append(Array(name)) }
    return out.sorted { $0.precedes($1) }
  }

  /// Makes `path` and what is missing above it.
  package static func makeAll(_ path: String, mode: UInt32 = 0o700) throws(Errno) {
    func make() -> Bool { path.pathBytes.withCPath { Glibc.mkdir($0, mode) } == 0 || errno == EEXIST }
    if make() { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
      throw .current
    }
    try makeAll(String(path[..<slash]), mode: mode)
    if !make() { throw .current }
  }

  /// As `makeAll`; the names of what was made are on the disk when this returns, as far as that can be waited for.
  package static func makeAllDurably(_ path: String) throws(Errno) {
    var missing: [String] = []
    var folder = path
    while (try? FileStatus(of: folder)) == nil {
      missing.append(folder)
      guard let slash = folder.lastIndex(of: "/"), slash != folder.startIndex else { break }
      folder = String(folder[..<slash])
    }
    try makeAll(path)
    for made in missing { try sync(above: made) }
  }

  /// Waits until the names in a directory are on the disk. Some file systems, of network shares above all, refuse that for
  /// directories; their names get there with the files, or in time.
  package static func sync(_ path: String) throws(Errno) {
    let directory = try Descriptor.open(path, Descriptor.directoryFlags & ~Descriptor.noFollow)
    do throws(Errno) {
      try directory.sync()
    } catch {
      guard error.refusesToSync else { throw error }
    }
  }

  /// The same for the name of a file or directory that was made just now. Where it lies may be closed to those who look.
  package static func sync(above path: String) throws(Errno) {
    let slash = path.lastIndex(of: "/")
    do throws(Errno) {
      try sync(slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? ".")
    } catch {
      guard error == .denied else { throw error }
    }
  }
}
