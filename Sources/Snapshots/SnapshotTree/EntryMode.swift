internal import Glibc
package import RepositoryFormat

extension EntryType {
  /// The type as in `st_mode`.
  package var modeBits: UInt32 {
    switch self {
    case .file: S_IFREG
    case .directory: S_IFDIR
    case .symbolicLink: S_IFLNK
    case .fifo: S_IFIFO
    case .socket: S_IFSOCK
    case .characterDevice: S_IFCHR
    case .blockDevice: S_IFBLK
    }
  }
}
