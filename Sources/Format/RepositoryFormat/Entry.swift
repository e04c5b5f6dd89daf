package import Platform

package enum EntryType: UInt8, Sendable {
  case file = 1
  case directory = 2
  case symbolicLink = 3
  case fifo = 4
  case socket = 5
  case characterDevice = 6
  case blockDevice = 7
}

/// Owner of an entry: numbers, and names where the source knew them.
package struct Owner: Hashable, Sendable {
  package let user: UInt32
  package let group: UInt32
  package let userName: [UInt8]
  package let groupName: [UInt8]
  package init(user: UInt32, group: UInt32, userName: [UInt8] = [], groupName: [UInt8] = []) {
    self.user = user
    self.group = group
    self.userName = userName
    self.groupName = groupName
  }
}

/// A piece of a file: a data chunk, or a hole when `chunk` is nil. `length` is in bytes and not 0.
package struct ContentPiece: Hashable, Sendable {
  package let length: UInt64
  package let chunk: ObjectID?
  package init(length: UInt64, chunk: ObjectID?) {
    self.length = length
    self.chunk = chunk
  }
}

/// Points at a tree object: a content list that covers `length` bytes of a file.
package struct ContentListReference: Hashable, Sendable {
  package let length: UInt64
  package let list: ObjectID
  package init(length: UInt64, list: ObjectID) {
    self.length = length
    self.list = list
  }
}

/// Where a file's bytes are (docs/format.md, section 9.3).
package enum FileContent: Hashable, Sendable {
  case empty
  /// One data chunk, whose SHA-256 this is.
  case single(Digest)
  case pieces(Digest?, [ContentPiece])
  case lists(Digest?, [ContentListReference])

  /// SHA-256 of the whole content; nil only where holes made it too expensive. Of an empty file it is not stored.
  package var digest: Digest? {
    switch self {
    case .empty: nil
    case .single(let digest): digest
    case .pieces(let digest, _), .lists(let digest, _): digest
    }
  }
}

/// What an entry is beyond its common metadata.
package enum EntryBody: Hashable, Sendable {
  case file(size: UInt64, content: FileContent)
  /// `below` counts all entries below it, at every depth; `listing` is its tree object.
  case directory(below: UInt64, listing: ObjectID)
  case symbolicLink(target: [UInt8])
  case fifo
  case socket
  case characterDevice(major: UInt32, minor: UInt32)
  case blockDevice(major: UInt32, minor: UInt32)

  package var type: EntryType {
    switch self {
    case .file: .file
    case .directory: .directory
    case .symbolicLink: .symbolicLink
    case .fifo: .fifo
    case .socket: .socket
    case .characterDevice: .characterDevice
    case .blockDevice: .blockDevice
    }
  }
}

/// One entry of a directory's listing (docs/format.md, section 9.1).
package struct Entry: Sendable, Equatable {
  package var name: [UInt8]
  /// Permission bits with set-uid, set-gid and sticky; below 4096.
  package var permissions: UInt32
  package var owner: Owner
  package var modified: Timestamp
  package var changed: Timestamp
  package var born: Timestamp?
  package var linkCount: UInt64
  /// Inode number at the source; only good for telling whether a file is the same as before.
  package var sourceInode: UInt64
  /// Entries of a snapshot with the same group are hard links of one file.
  package var linkGroup: UInt64?
  /// Only the way to the sources is below this directory, not all that it held.
  package var isPartial: Bool
  /// Something that was in this directory was left out: excluded, unreadable, or not entered. What a snapshot does not
  /// hold there must not be taken for absent.
  package var isIncomplete: Bool
  /// In the order in which the source's file system listed them; no name comes twice.
  package var attributes: [ExtendedAttribute]
  package var body: EntryBody

  package init(
    name: [UInt8], permissions: UInt32, owner: Owner, modified: Timestamp, changed: Timestamp, born: Timestamp?,
    linkCount: UInt64, sourceInode: UInt64, linkGroup: UInt64? = nil, isPartial: Bool = false,
    isIncomplete: Bool = false,
    attributes: [ExtendedAttribute] = [], body: EntryBody
  ) {
    self.name = name
    self.permissions = permissions
    self.owner = owner
    self.modified = modified
    self.changed = changed
    self.born = born
    self.linkCount = linkCount
    self.sourceInode = sourceInode
    self.linkGroup = linkGroup
    self.isPartial = isPartial
    self.isIncomplete = isIncomplete
    self.attributes = attributes
    self.body = body
  }

  package var type: EntryType { body.type }
  /// About how many bytes of memory it takes.
  package var memory: Int {
    var sum = 320 + name.count
    for attribute in attributes { sum += 64 + attribute.name.count + attribute.value.count }
    switch body {
    case .file(_, .pieces(_, let pieces)): sum += pieces.count * MemoryLayout<ContentPiece>.stride
    case .file(_, .lists(_, let lists)): sum += lists.count * MemoryLayout<ContentListReference>.stride
    case .symbolicLink(let target): sum += target.count
    default: break
    }
    return sum
  }
  package var isDirectory: Bool { type == .directory }
  /// Size of a file or of a link's target; 0 for others.
  package var size: UInt64 {
    switch body {
    case .file(let size, _): size
    case .symbolicLink(let target): UInt64(target.count)
    default: 0
    }
  }
  /// How many entries are below it: 0 but for directories.
  package var below: UInt64 { if case .directory(let below, _) = body { below } else { 0 } }
}

/// Whether `name` may stand in a listing. The root alone has an empty name.
package func isValidName(_ name: UnsafeRawBufferPointer) -> Bool {
  guard (1...Limits.nameSizeMax).contains(name.count) else { return false }
  if name[0] == 0x2E && (name.count == 1 || (name.count == 2 && name[1] == 0x2E)) { return false }
  return !name.contains { $0 == 0 || $0 == 0x2F }
}
