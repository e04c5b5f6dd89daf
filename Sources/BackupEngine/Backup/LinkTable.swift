internal import Platform
internal import RepositoryFormat

/// Files with several links, until all of them were met.
struct LinkTable {
  private struct Key: Hashable {
    let device: UInt64
    let inode: UInt64
  }
  private struct Slot {
    let group: UInt64
    var entry: Entry
    var missing: UInt64
  }
  private var slots: [Key: Slot] = [:]
  private(set) var nextGroup: UInt64

  init(nextGroup: UInt64) { self.nextGroup = max(1, nextGroup) }

  /// The entry of another link that was met before.
  mutating func earlier(_ status: FileStatus) -> Entry? {
    let key = Key(device: status.device, inode: status.inode)
    guard var slot = slots[key] else { return nil }
    slot.missing = slot.missing > 0 ? slot.missing - 1 : 0
    slots[key] = slot.missing == 0 ? nil : slot
    return slot.entry
  }

  /// Gives the first link that is met a group: that of the base when it is the same file still.
  mutating func add(_ entry: inout Entry, _ status: FileStatus, base: Entry?) {
    let group: UInt64
    if let base, let known = base.linkGroup, base.sourceInode == status.inode {
      group = known
    } else {
      group = nextGroup
      nextGroup += 1
    }
    entry.linkGroup = group
    slots[Key(device: status.device, inode: status.inode)] = Slot(
      group: group, entry: entry, missing: status.linkCount - 1)
  }
}
