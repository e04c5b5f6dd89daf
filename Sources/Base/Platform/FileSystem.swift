internal import CLinux
internal import Glibc

/// File system calls by directory descriptor and name. Nothing here follows a symbolic link at the end of a path, so
/// that nobody can lead a restore out of its destination.
package enum FileSystem {
  package static func makeDirectory(_ name: [UInt8], at directory: Descriptor?, mode: UInt32) throws(Errno) {
    try call(name) { Glibc.mkdirat(raw(directory), $0, mode) }
  }
  package static func removeFile(_ name: [UInt8], at directory: Descriptor?) throws(Errno) {
    try call(name) { Glibc.unlinkat(raw(directory), $0, 0) }
  }
  package static func removeDirectory(_ name: [UInt8], at directory: Descriptor?) throws(Errno) {
    try call(name) { Glibc.unlinkat(raw(directory), $0, yl_at_removedir) }
  }
  package static func makeSymbolicLink(to target: [UInt8], _ name: [UInt8], at directory: Descriptor?) throws(Errno) {
    try call(name) { link in target.withCPath { Glibc.symlinkat($0, raw(directory), link) } }
  }
  package static func readLink(_ name: [UInt8], at directory: Descriptor?) throws(Errno) -> [UInt8] {
    var buffer = [CChar](repeating: 0, count: 65536)
    let got = name.withCPath { Glibc.readlinkat(raw(directory), $0, &buffer, buffer.count) }
    try posix(got)
    return buffer.prefix(got).map { UInt8(bitPattern: $0) }
  }
  /// `mode` with its type bits: FIFO, socket, device.
  package static func makeNode(
    _ name: [UInt8], at directory: Descriptor?, mode: UInt32, major: UInt32 = 0, minor: UInt32 = 0
  ) throws(Errno) {
    try Errno.check(name.withCPath { yl_mknodat(raw(directory), $0, mode, major, minor) })
  }
  package static func makeLink(
    from old: [UInt8], at oldDirectory: Descriptor?, to new: [UInt8], at newDirectory: Descriptor?
  ) throws(Errno) {
    try Errno.check(
      old.withCPath { from in new.withCPath { yl_linkat(raw(oldDirectory), from, raw(newDirectory), $0, 0) } })
  }
  package enum RenameRule: Sendable { case replace, noReplace, exchange }
  package static func rename(
    _ old: [UInt8], at oldDirectory: Descriptor?, to new: [UInt8], at newDirectory: Descriptor?,
    _ rule: RenameRule = .replace
  ) throws(Errno) {
    let flags: CUnsignedInt =
      switch rule {
      case .replace: 0
      case .noReplace: CUnsignedInt(yl_rename_noreplace)
      case .exchange: CUnsignedInt(yl_rename_exchange)
      }
    try Errno.check(
      old.withCPath { from in new.withCPath { yl_renameat2(raw(oldDirectory), from, raw(newDirectory), $0, flags) } })
  }
  package static func setOwner(
    _ name: [UInt8], at directory: Descriptor?, user: UInt32, group: UInt32
  ) throws(Errno) {
    try call(name) { Glibc.fchownat(raw(directory), $0, user, group, yl_at_symlink_nofollow) }
  }
  /// Not for symbolic links, which have no permissions of their own: a link is an error, and is not followed.
  package static func setMode(_ name: [UInt8], at directory: Descriptor?, _ mode: UInt32) throws(Errno) {
    try Errno.check(name.withCPath { yl_fchmodat_nofollow(raw(directory), $0, mode) })
  }
  package static func setTimes(
    _ name: [UInt8], at directory: Descriptor?, accessed: Timestamp, modified: Timestamp
  ) throws(Errno) {
    try Errno.check(
      name.withCPath {
        yl_utimensat(
          raw(directory), $0, accessed.seconds, Int64(accessed.nanoseconds), modified.seconds,
          Int64(modified.nanoseconds), yl_at_symlink_nofollow)
      })
  }

  private static func raw(_ directory: Descriptor?) -> CInt { directory?.raw ?? yl_at_fdcwd }

  private static func call(_ name: [UInt8], _ body: (UnsafePointer<CChar>) -> CInt) throws(Errno) {
    try posix(name.withCPath(body))
  }
}

extension Descriptor {
  package static let directoryFlags: CInt = O_RDONLY | yl_o_directory | yl_o_nofollow
  /// For a directory that is only passed through: it need not be readable. It can be looked at and opened from, and
  /// neither listed nor synced.
  package static let passageFlags: CInt = yl_o_path | yl_o_directory | yl_o_nofollow
  package static let noFollow: CInt = yl_o_nofollow
  package static let noAccessTime: CInt = yl_o_noatime
  package static let pathOnly: CInt = yl_o_path

  package func setOwner(user: UInt32, group: UInt32) throws(Errno) { try posix(Glibc.fchown(raw, user, group)) }
  package func setMode(_ mode: UInt32) throws(Errno) { try posix(Glibc.fchmod(raw, mode)) }
  package func setTimes(accessed: Timestamp, modified: Timestamp) throws(Errno) {
    try Errno.check(
      yl_futimens(
        raw, accessed.seconds, Int64(accessed.nanoseconds), modified.seconds, Int64(modified.nanoseconds)))
  }
  /// Asks for the next data at or behind `offset`; nil when only a hole follows.
  package func nextData(from offset: Int64) throws(Errno) -> Int64? {
    do {
      return try seek(offset, yl_seek_data)
    } catch {
      if error.rawValue == ENXIO { return nil }
      throw error
    }
  }
  package func nextHole(from offset: Int64) throws(Errno) -> Int64 { try seek(offset, yl_seek_hole) }
  package func adviseSequential() { _ = yl_fadvise(raw, 0, 0, yl_fadv_sequential) }
  package func adviseDontNeed(offset: Int64, length: Int64) { _ = yl_fadvise(raw, offset, length, yl_fadv_dontneed) }
  /// The magic number of the file system (statfs(2)).
  package func fileSystemType() throws(Errno) -> UInt32 {
    var magic: UInt32 = 0
    try Errno.check(yl_file_system_type(raw, &magic))
    return magic
  }
  /// A new file in `directory` that has no name and goes with its last descriptor. Not every file system can do that
  /// (EOPNOTSUPP, or EISDIR).
  package static func temporary(in directory: String) throws(Errno) -> Descriptor {
    try open(directory, O_RDWR | yl_o_tmpfile, mode: 0o600)
  }
  /// Total bytes of the file system, and those that are free for an ordinary user.
  package func fileSystemSpace() throws(Errno) -> (total: UInt64, available: UInt64) {
    var total: UInt64 = 0
    var available: UInt64 = 0
    try Errno.check(yl_statfs(raw, &total, &available))
    return (total, available)
  }
}

extension Descriptor {
  /// Columns of the terminal behind a descriptor number; 0 when it is none.
  package static func terminalColumns(_ number: CInt) -> Int { Int(yl_terminal_columns(number)) }
  /// Whether this process may write to the terminal at `number` without meddling with another one's work there.
  package static func isInForeground(_ number: CInt) -> Bool {
    let group = tcgetpgrp(number)
    // Of a terminal that is not ours nobody can say.
    return group < 0 || group == getpgrp()
  }
}
