package import Platform

/// What the kernel wants to know of a node.
package struct NodeInfo: Sendable, Equatable {
  /// Names the node in every further call. The root of a mount is 1; 0 is never used.
  package var node: UInt64
  /// What `st_ino` shows: equal for hard links, otherwise unique in the mount; below 2^53.
  package var inode: UInt64
  /// Type and permission bits, as in `st_mode`.
  package var mode: UInt32
  package var links: UInt64
  package var user: UInt32
  package var group: UInt32
  /// In bytes.
  package var size: UInt64
  /// In units of 512 bytes; holes do not count.
  package var blocks: UInt64
  package var modified: Timestamp
  package var changed: Timestamp
  package var deviceMajor: UInt32 = 0
  package var deviceMinor: UInt32 = 0
  /// It will never change: the kernel may keep what it knows of it for ever.
  package var isImmutable: Bool
  /// The name leads to it for ever.
  package var isNameFixed: Bool
  /// Tells it from what had the same number at an earlier mount; below 2^31.
  package var generation: UInt64
  /// In a listing: node, inode and type alone are true. The rest has to be looked up.
  package var isNameOnly = false

  package init(
    node: UInt64, inode: UInt64, mode: UInt32, links: UInt64 = 1, user: UInt32 = 0, group: UInt32 = 0,
    size: UInt64 = 0, blocks: UInt64 = 0, modified: Timestamp, changed: Timestamp, isImmutable: Bool,
    generation: UInt64 = 0
  ) {
    self.node = node
    self.inode = inode
    self.mode = mode
    self.links = links
    self.user = user
    self.group = group
    self.size = size
    self.blocks = blocks
    self.modified = modified
    self.changed = changed
    self.isImmutable = isImmutable
    isNameFixed = isImmutable
    self.generation = generation
  }
}

/// A read-only file system as the FUSE adapter serves it. Node numbers need no bookkeeping: whoever knows one may
/// use it at any time, at a later mount as well. What the kernel holds is told all the same, for those who want to know
/// whether anything is in use. All calls may come from several threads
/// at once.
///
/// Errors: ENOENT for what is not there, ENOTDIR, EISDIR, EINVAL as usual, EIO for damage (already logged),
/// ESTALE for a node of a snapshot that is gone.
package protocol FileSystemModel: Sendable {
  func attributes(of node: UInt64) throws(Errno) -> NodeInfo

  /// The same for a caller that comes with a number that it was given earlier (a file handle): ESTALE also when it
  /// leads into a snapshot that was removed since, which those who have it open may still read.
  func found(_ node: UInt64) throws(Errno) -> NodeInfo

  /// The child of a directory; `name` is valid during the call only. `.` and `..` are not asked for.
  func lookUp(_ name: UnsafeRawBufferPointer, in directory: UInt64) throws(Errno) -> NodeInfo

  /// The children of a directory in a fixed order, without `.` and `..`, beginning behind position `offset` (0 at
  /// first). `body` gets the name (valid during the call), the child and the position behind it; it returns false
  /// when it has no more room, and that child is then given again the next time. Positions are below 2^62.
  func list(
    _ directory: UInt64, from offset: UInt64,
    _ body: (_ name: UnsafeRawBufferPointer, _ child: NodeInfo, _ next: UInt64) -> Bool
  ) throws(Errno)

  /// The directory above, for `..`.
  func parent(of directory: UInt64) throws(Errno) -> UInt64

  func readLink(_ node: UInt64) throws(Errno) -> [UInt8]

  /// The bytes from `offset`, `count` of them or as many as the file has, as the parts of memory where they lie.
  func read(_ node: UInt64, at offset: UInt64, count: Int) throws(Errno) -> [BytesSlice]

  /// The next data (or hole) at or behind `offset`, as `lseek(2)` with SEEK_DATA and SEEK_HOLE; ENXIO behind the end.
  func seek(_ node: UInt64, from offset: UInt64, toHole: Bool) throws(Errno) -> UInt64

  /// Names of extended attributes that copies should carry.
  func attributeNames(of node: UInt64) throws(Errno) -> [[UInt8]]

  /// ENODATA when there is no such attribute.
  func attribute(_ name: [UInt8], of node: UInt64) throws(Errno) -> [UInt8]

  /// Looks for new and removed snapshots. Returns the names in the root that came, went or changed their meaning,
  /// so that the kernel can be told to forget what it knew of them.
  func refresh() throws(Errno) -> [[UInt8]]

  /// The mount begins. `forget` may be called with names as `refresh` returns them, from any thread, when changes were
  /// found by other ways.
  func begin(forget: @escaping @Sendable (_ names: [[UInt8]]) -> Void)

  /// The kernel holds these nodes so many times more, or, with a negative count, less. Before it gets to know them, and
  /// after it has forgotten them.
  func didChangeHolds(_ changes: [HoldChange])

  /// The mount ends: leases are given back. Nothing is asked afterwards.
  func close()
}

package struct HoldChange: Sendable {
  package let node: UInt64
  package let count: Int
  package init(_ node: UInt64, _ count: Int) {
    self.node = node
    self.count = count
  }
}

extension FileSystemModel {
  package func begin(forget: @escaping @Sendable (_ names: [[UInt8]]) -> Void) {}
  package func didChangeHolds(_ changes: [HoldChange]) {}
}
