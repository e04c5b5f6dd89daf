internal import CLinux
internal import Glibc

/// What `statx(2)` says of a file. Times are seconds and nanoseconds, sizes bytes.
package struct FileStatus: Sendable {
  private let raw: yl_stat

  package enum LookUp: Sendable {
    case theLinkItself
    case following
    /// The open file itself; the name is empty.
    case theDescriptor
    /// As the kernel knows it, without asking a file system that may not answer.
    case asKnown

    fileprivate var flags: CInt {
      switch self {
      case .theLinkItself: yl_at_symlink_nofollow
      case .following: 0
      case .theDescriptor: yl_at_empty_path
      case .asKnown: yl_at_statx_dont_sync
      }
    }
  }

  /// `name` in `directory` (or a path); a symbolic link is looked at itself, not followed.
  package init(of name: [UInt8], at directory: Descriptor? = nil, _ lookUp: LookUp = .theLinkItself)
    throws(Errno)
  {
    var out = yl_stat()
    let result = name.withCPath { yl_statx(directory?.raw ?? yl_at_fdcwd, $0, lookUp.flags, &out) }
    try Errno.check(result)
    raw = out
  }
  package init(of path: String, following: Bool = true) throws(Errno) {
    try self.init(of: path.pathBytes, at: nil, following ? .following : .theLinkItself)
  }

  package var type: UInt32 { raw.mode & UInt32(S_IFMT) }
  /// Type and permission bits, as in `st_mode`.
  package var mode: UInt32 { raw.mode }
  package var user: UInt32 { raw.uid }
  package var group: UInt32 { raw.gid }
  package var linkCount: UInt64 { UInt64(raw.nlink) }
  /// In units of 512 bytes.
  package var blocks: UInt64 { raw.blocks }
  /// Of a device node itself.
  package var deviceMajor: UInt32 { raw.rdev_major }
  package var deviceMinor: UInt32 { raw.rdev_minor }
  package var isDirectory: Bool { type == S_IFDIR }
  package var isRegular: Bool { type == S_IFREG }
  package var isLink: Bool { type == S_IFLNK }
  /// Permission bits with set-uid, set-gid and sticky.
  package var permissions: UInt32 { raw.mode & 0o7777 }
  package var size: UInt64 { raw.size }
  package var inode: UInt64 { raw.ino }
  package var device: UInt64 { UInt64(raw.dev_major) << 32 | UInt64(raw.dev_minor) }
  /// Tells mounts apart while they stand.
  package var mount: UInt64 { raw.mnt_id }
  package var modified: Timestamp { Timestamp(seconds: raw.mtime_s, nanoseconds: raw.mtime_ns) }
  package var changed: Timestamp { Timestamp(seconds: raw.ctime_s, nanoseconds: raw.ctime_ns) }
  package var accessed: Timestamp { Timestamp(seconds: raw.atime_s, nanoseconds: raw.atime_ns) }
  package var born: Timestamp? {
    raw.has_btime != 0 ? Timestamp(seconds: raw.btime_s, nanoseconds: raw.btime_ns) : nil
  }
}
