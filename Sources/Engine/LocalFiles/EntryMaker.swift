internal import Glibc
package import Platform
package import RepositoryFormat

/// Makes entries from what the file system says. One thread.
package struct EntryMaker {
  private struct OwnerKey: Hashable {
    let user: UInt32
    let group: UInt32
  }
  private var owners: [OwnerKey: Owner] = [:]

  package init() {}

  package mutating func owner(_ status: FileStatus) -> Owner {
    let key = OwnerKey(user: status.user, group: status.group)
    if let known = owners[key] { return known }
    let owner = Owner(
      user: key.user, group: key.group, userName: System.userName(key.user), groupName: System.groupName(key.group))
    owners[key] = owner
    return owner
  }

  package mutating func entry(
    _ name: [UInt8], _ status: FileStatus, _ body: EntryBody, attributes: [ExtendedAttribute]
  ) -> Entry {
    Entry(
      name: name, permissions: status.permissions, owner: owner(status), modified: status.modified,
      changed: status.changed, born: status.born, linkCount: status.linkCount, sourceInode: status.inode,
      attributes: attributes, body: body)
  }

  /// The body of what is neither a file, a directory nor a link.
  package static func specialBody(_ status: FileStatus) -> EntryBody? {
    switch status.type {
    case S_IFIFO: .fifo
    case S_IFSOCK: .socket
    case S_IFCHR: .characterDevice(major: status.deviceMajor, minor: status.deviceMinor)
    case S_IFBLK: .blockDevice(major: status.deviceMajor, minor: status.deviceMinor)
    default: nil
    }
  }
}
