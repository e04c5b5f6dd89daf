internal import CFuse

/// The kinds of requests (`enum fuse_opcode` in linux/fuse.h), as far as a kernel sends them to a driver.
package enum RequestKind {
  static let read = 15

  /// By their numbers.
  package static let names: [String?] = {
    let known: [(number: Int, name: String)] = [
      (1, "lookup"), (2, "forget"), (3, "getattr"), (4, "setattr"), (5, "readlink"), (6, "symlink"), (8, "mknod"),
      (9, "mkdir"), (10, "unlink"), (11, "rmdir"), (12, "rename"), (13, "link"), (14, "open"), (read, "read"),
      (16, "write"), (17, "statfs"), (18, "release"), (20, "fsync"), (21, "setxattr"), (22, "getxattr"),
      (23, "listxattr"), (24, "removexattr"), (25, "flush"), (26, "init"), (27, "opendir"), (28, "readdir"),
      (29, "releasedir"), (30, "fsyncdir"), (31, "getlk"), (32, "setlk"), (33, "setlkw"), (34, "access"),
      (35, "create"), (36, "interrupt"), (37, "bmap"), (38, "destroy"), (39, "ioctl"), (40, "poll"),
      (41, "notify_reply"), (42, "batch_forget"), (43, "fallocate"), (44, "readdirplus"), (45, "rename2"),
      (46, "lseek"), (47, "copy_file_range"), (48, "setupmapping"), (49, "removemapping"), (50, "syncfs"),
      (51, "tmpfile"), (52, "statx"),
    ]
    var names: [String?] = Array(repeating: nil, count: (known.last?.number ?? 0) + 1)
    for (number, name) in known { names[number] = name }
    return names
  }()

  /// The kind of a request that was received: `opcode`, the second field of `struct fuse_in_header`.
  static func of(_ buffer: fuse_buf) -> Int {
    guard let memory = buffer.mem, buffer.size >= 8 else { return 0 }
    return Int(memory.load(fromByteOffset: 4, as: UInt32.self))
  }
}
