/// A file, whatever its names: the file system it lies on and its number there. While it exists nothing else has the
/// same; once it is gone, what is made later may.
package struct FileIdentity: Hashable, Sendable {
  package let device: UInt64
  package let inode: UInt64

  package init(device: UInt64, inode: UInt64) {
    self.device = device
    self.inode = inode
  }

  package init(_ status: FileStatus) { self.init(device: status.device, inode: status.inode) }
}

extension FileStatus {
  package var identity: FileIdentity { FileIdentity(self) }
}
