internal import Glibc
internal import Platform
internal import RepositoryFormat

/// Makes entries from what the file system says. One thread.
struct EntryMaker {
  private struct OwnerKey: Hashable {
    let user: UInt32
    let group: UInt32
  }
  private var owners: [OwnerKey: Owner] = [:]

  mutating func owner(_ status: FileStatus) -> Owner {
    let key = OwnerKey(user: status.user, group: status.group)
    if let known = owners[key] { return known }
    let owner = Owner(
      user: key.user, group: key.group, userName: System.userName(key.user), groupName: System.groupName(key.group))
    owners[key] = owner
    return owner
  }

  mutating func entry(
    _ name: [UInt8], _ status: FileStatus, _ body: EntryBody, attributes: [ExtendedAttribute]
  ) -> Entry {
    Entry(
      name: name, permissions: status.permissions, owner: owner(status), modified: status.modified,
      changed: status.changed, born: status.born, linkCount: status.linkCount, sourceInode: status.inode,
      attributes: attributes, body: body)
  }

  /// The body of what is neither a file, a directory nor a link.
  static func specialBody(_ status: FileStatus) -> EntryBody? {
    switch status.type {
    case S_IFIFO: .fifo
    case S_IFSOCK: .socket
    case S_IFCHR: .characterDevice(major: status.deviceMajor, minor: status.deviceMinor)
    case S_IFBLK: .blockDevice(major: status.deviceMajor, minor: status.deviceMinor)
    default: nil
    }
  }
}

/// The names in a directory, sorted: one block of bytes and where each begins, so that a million of them cost little.
struct NameList {
  private var bytes: [UInt8] = []
  private var starts: [UInt32] = []
  private var order: [UInt32] = []

  init() {}

  init(_ directory: Descriptor) throws(Errno) {
    var bytes: [UInt8] = []
    var starts: [UInt32] = [0]
    try Directory.forEachName(directory) { name, _ in
      bytes.append(contentsOf: name)
      starts.append(UInt32(bytes.count))
    }
    self.bytes = bytes
    self.starts = starts
    var order = (0..<UInt32(starts.count - 1)).map { $0 }
    bytes.withUnsafeBytes { raw in
      func name(_ place: UInt32) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: raw[Int(starts[Int(place)])..<Int(starts[Int(place) + 1])])
      }
      order.sort { name($0).precedes(name($1)) }
    }
    self.order = order
  }

  init(_ names: [[UInt8]]) {
    starts = [0]
    for name in names.sorted(by: { $0.precedes($1) }) {
      bytes.append(contentsOf: name)
      starts.append(UInt32(bytes.count))
      order.append(UInt32(order.count))
    }
  }

  var count: Int { order.count }

  subscript(place: Int) -> [UInt8] {
    let at = Int(order[place])
    return Array(bytes[Int(starts[at])..<Int(starts[at + 1])])
  }

  func contains(_ name: [UInt8]) -> Bool {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      let here = self[middle]
      if here == name { return true }
      if here.precedes(name) { low = middle + 1 } else { high = middle }
    }
    return false
  }
}
