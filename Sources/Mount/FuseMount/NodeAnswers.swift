internal import CFuse
internal import Glibc
internal import Platform
internal import SnapshotTree

/// What the kernel is told of a node, and for how long it may believe it.
///
/// Inside snapshots: for ever. What may change is asked for again after a second, and the attributes of a file that
/// may change before every read. Files are opened without asking the driver (see `Connection`), so the kernel drops
/// cached content only when a modification time differs; a file that may change therefore always shows the present
/// time, and a directory that may change shows at least that of the last change of the snapshots.
struct NodeAnswers: Sendable {
  /// Three years, in seconds. libfuse and the kernel both calculate with it, so it is not larger.
  static let forever: Double = 1e8
  static let short: Double = 1

  let user: UInt32?
  let group: UInt32?
  let umask: UInt32?

  func attributes(_ info: NodeInfo, _ lastChange: Timestamp) -> stat {
    var out = stat()
    out.st_ino = ino_t(info.inode)
    out.st_mode = info.mode
    // A link target has no permissions of its own.
    if let umask, !info.isLink { out.st_mode &= ~umask }
    out.st_nlink = nlink_t(info.links)
    out.st_uid = user ?? info.user
    out.st_gid = group ?? info.group
    out.st_size = off_t(clamping: info.size)
    out.st_blocks = blkcnt_t(clamping: info.blocks)
    // The kernel's new_encode_dev (include/linux/kdev_t.h).
    let (major, minor) = (UInt64(info.deviceMajor), UInt64(info.deviceMinor))
    out.st_rdev = dev_t((minor & 0xFF) | (major & 0xFFF) << 8 | (minor & 0xFFF00) << 12)
    var modified = info.modified
    if !info.isImmutable {
      if info.isRegular { modified = .now() } else if info.isDirectory { modified = max(modified, lastChange) }
    }
    out.st_mtim = timespec(tv_sec: Int(modified.seconds), tv_nsec: Int(modified.nanoseconds))
    out.st_ctim = timespec(tv_sec: Int(info.changed.seconds), tv_nsec: Int(info.changed.nanoseconds))
    out.st_atim = out.st_mtim
    return out
  }

  func attributeSeconds(_ info: NodeInfo) -> Double {
    if info.isImmutable { return Self.forever }
    return info.isRegular ? 0 : Self.short
  }

  func entry(
    _ info: NodeInfo,
    in directory: UInt64,
    _ lastChange: Timestamp
  ) -> fuse_entry_param {
    var out = fuse_entry_param()
    out.ino = info.node
    out.generation = info.generation
    out.attr = attributes(info, lastChange)
    out.attr_timeout = attributeSeconds(info)
    // Snapshots do not change but can be removed, so names at the top are never believed for long.
    out.entry_timeout = info.isNameFixed && directory != UInt64(FUSE_ROOT_ID) ? Self.forever : Self.short
    return out
  }

  /// "There is no such name", believed for `seconds`.
  static func nothing(seconds: Double) -> fuse_entry_param {
    var out = fuse_entry_param()
    out.entry_timeout = seconds
    return out
  }
}

extension NodeInfo {
  /// The file type in `mode` (inode(7)); the names are macros with casts.
  private var type: UInt32 { mode & 0o170000 }
  var isDirectory: Bool { type == 0o040000 }
  var isRegular: Bool { type == 0o100000 }
  var isLink: Bool { type == 0o120000 }
}
