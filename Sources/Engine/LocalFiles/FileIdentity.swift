package import Platform

/// A file, whatever its names.
package struct FileIdentity: Hashable, Sendable {
  package let device: UInt64
  package let inode: UInt64

  package init(_ status: FileStatus) {
    device = status.device
    inode = status.inode
  }
}
