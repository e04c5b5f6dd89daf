package import Platform
package import RepositoryFormat

/// What a file system says of a file that has several names, beside them: what tells it from others.
package struct LinkedFile: Sendable {
  fileprivate let identity: FileIdentity
  private let born: Timestamp?
  private let size: UInt64
  private let modified: Timestamp

  package init(_ status: FileStatus) {
    self.init(status.identity, born: status.born, size: status.size, modified: status.modified)
  }

  init(_ identity: FileIdentity, born: Timestamp?, size: UInt64, modified: Timestamp) {
    self.identity = identity
    self.born = born
    self.size = size
    self.modified = modified
  }

  /// Whether this, of the same device and inode, is still the same file. What a new link or name changes says nothing;
  /// where the file system knows when a file was made, that tells all.
  fileprivate func isSame(as other: LinkedFile) -> Bool {
    if let born, let otherBorn = other.born { return born == otherBorn }
    return size == other.size && modified == other.modified
  }
}

/// Names a file in a `LinkTable`: inode numbers are used again, while a run goes on too.
package struct LinkReference: Hashable, Sendable {
  fileprivate let file: FileIdentity
  fileprivate let serial: UInt64
}

/// Files with several links, until all of them were met: each is read once, by whoever comes first. For any thread.
package final class LinkTable: Sendable {
  fileprivate enum Content {
    /// Somebody is at it.
    case beingRead
    case known(Entry)
    case unreadable
  }
  fileprivate struct Slot {
    var content: Content
    let file: LinkedFile
    /// References that were given out and not met yet.
    var promised = 1
    /// Names beyond those that were met; nil until the first is.
    var missing: UInt64?
    var group: UInt64 = 0

    init(_ content: Content, _ file: LinkedFile) {
      self.content = content
      self.file = file
    }
  }
  fileprivate struct State {
    var slots: [UInt64: Slot] = [:]
    var current: [FileIdentity: UInt64] = [:]
    var nextSerial: UInt64 = 0
    var nextGroup: UInt64
    /// Groups of the base that files of this run have: two files must not get the same.
    var inherited: Set<UInt64> = []
  }
  private let state: Monitor<State>

  package init(nextGroup: UInt64) { state = Monitor(State(nextGroup: max(1, nextGroup))) }

  package var nextGroup: UInt64 { state.withLock { $0.nextGroup } }

  /// The group of a file whose source tells its names apart by itself: that of `base`, which has the same path, when it
  /// is the same file still. Called once for each file.
  package func group(of entry: Entry, base: Entry?) -> UInt64 {
    state.withLock { $0.group(ofInode: entry.sourceInode, base) }
  }

  /// For one name of a file. `isMine`: the caller is to read the file, and then to say so with `finish`. Each reference
  /// is to be met once.
  package func claim(_ file: LinkedFile) -> (reference: LinkReference, isMine: Bool) {
    promise(file, .beingRead)
  }

  /// As `claim`, with what is known of the file without reading it, unless somebody knows it already.
  package func offer(_ file: LinkedFile, _ entry: Entry) -> LinkReference { promise(file, .known(entry)).reference }

  private func promise(_ linked: LinkedFile, _ content: Content) -> (reference: LinkReference, isMine: Bool) {
    let file = linked.identity
    return state.withLock { state in
      if let serial = state.current[file], let slot = state.slots[serial], slot.file.isSame(as: linked) {
        var isUsable = true
        if case .unreadable = slot.content { isUsable = false }
        if isUsable {
          state.slots[serial]?.promised += 1
          return (LinkReference(file: file, serial: serial), false)
        }
      }
      state.nextSerial += 1
      // Whoever waits for what had this number before still finds it.
      if let old = state.current.updateValue(state.nextSerial, forKey: file), state.slots[old]?.promised == 0 {
        state.slots[old] = nil
      }
      state.slots[state.nextSerial] = Slot(content, linked)
      return (LinkReference(file: file, serial: state.nextSerial), true)
    }
  }

  /// What reading gave; nil when it failed.
  package func finish(_ reference: LinkReference, _ entry: Entry?) {
    state.update { $0.slots[reference.serial]?.content = entry.map { .known($0) } ?? .unreadable }
  }

  /// The entry for a name whose file was claimed or offered; nil when it could not be read. Names are met in the order
  /// of the walk, by one thread, so that their groups do not depend on who reads faster. A group is that of the base
  /// when it is the same file still.
  package func meet(_ reference: LinkReference, name: [UInt8], base: Entry?) -> Entry? {
    state.wait { state -> Entry?? in
      guard var slot = state.slots[reference.serial] else { return .some(nil) }
      var found: Entry?
      switch slot.content {
      case .beingRead: return nil
      case .unreadable: break
      case .known(var entry):
        if let missing = slot.missing {
          slot.missing = missing > 0 ? missing - 1 : 0
        } else {
          slot.group = state.group(ofInode: reference.file.inode, base)
          slot.missing = entry.linkCount > 0 ? entry.linkCount - 1 : 0
        }
        entry.name = name
        entry.linkGroup = slot.group
        found = entry
      }
      slot.promised -= 1
      state.keep(slot, reference)
      return .some(found)
    } ?? nil
  }
}

extension LinkTable.State {
  fileprivate mutating func group(ofInode inode: UInt64, _ base: Entry?) -> UInt64 {
    if let base, let known = base.linkGroup, base.sourceInode == inode, inherited.insert(known).inserted {
      return known
    }
    defer { nextGroup += 1 }
    return nextGroup
  }

  /// A slot goes when nobody waits for it and no other name of its file is to come.
  fileprivate mutating func keep(_ slot: LinkTable.Slot, _ reference: LinkReference) {
    let isCurrent = current[reference.file] == reference.serial
    guard slot.promised > 0 || (isCurrent && slot.missing != 0) else {
      slots[reference.serial] = nil
      if isCurrent { current[reference.file] = nil }
      return
    }
    slots[reference.serial] = slot
  }
}
