internal import CFuse
internal import Synchronization

extension Adapter {
  /// The largest read request. The kernel's limit is 1 MiB as well.
  static let maximumRead: UInt32 = 1 << 20

  /// Agrees with the kernel on what the mount can do; called for the first request of all.
  ///
  /// - `AUTO_INVAL_DATA`: before it answers from its cache, the kernel asks for attributes that have timed out and
  ///   drops the cache when the modification time differs. That keeps files and directories that may change right
  ///   although nothing is ever opened; for the others it costs nothing, since their attributes do not time out.
  /// - `POSIX_ACL`: the kernel reads `system.posix_acl_access` once for each inode, checks permissions by it, and
  ///   answers `getfacl` and `cp -a` from its own memory. Without it, lists would be shown but not obeyed.
  /// - `EXPORT_SUPPORT`: node numbers are valid at any time, so NFS can export the mount.
  /// - Not: splicing (slower for small answers), readdirplus "auto" (it would guess, and ask for names alone).
  func negotiate(_ connection: inout fuse_conn_info) {
    let capable = Int(connection.capable)
    var want =
      yf_cap_async_read | yf_cap_auto_inval_data | yf_cap_parallel_dirops | yf_cap_cache_symlinks
      | yf_cap_readdirplus | yf_cap_export | yf_cap_no_open | yf_cap_no_opendir
    if honoursAccessLists { want |= yf_cap_posix_acl }
    connection.want = UInt32(capable & Int(want))
    kernelOpensFiles.store(capable & Int(yf_cap_no_open) == Int(yf_cap_no_open), ordering: .relaxed)
    kernelOpensDirectories.store(capable & Int(yf_cap_no_opendir) == Int(yf_cap_no_opendir), ordering: .relaxed)
    connection.max_read = Self.maximumRead
    // Also the limit for reads: the kernel takes the pages of a request from it.
    connection.max_write = Self.maximumRead
    // Read-ahead requests at a time. The kernel's 12 would starve several readers of large files.
    connection.max_background = 64
    connection.congestion_threshold = 48
  }
}
