internal import Platform
internal import RepositoryFormat

/// A file, whatever its names.
struct FileIdentity: Hashable, Sendable {
  let device: UInt64
  let inode: UInt64

  init(_ status: FileStatus) {
    device = status.device
    inode = status.inode
  }
}

/// Files with several links, until all of them were met: each is read once, by whoever comes first. For any thread.
final class LinkTable: Sendable {
  private enum Content {
    /// Somebody is at it.
    case beingRead
    case known(Entry)
    case unreadable
  }
  private struct Slot {
    var content: Content
    /// Links that were not met yet; nil until the first is.
    var missing: UInt64?
    var group: UInt64 = 0
  }
  private struct State {
    var slots: [FileIdentity: Slot] = [:]
    var nextGroup: UInt64
  }
  private let state: Monitor<State>

  init(nextGroup: UInt64) { state = Monitor(State(nextGroup: max(1, nextGroup))) }

  var nextGroup: UInt64 { state.withLock { $0.nextGroup } }

  /// True when the caller is to read the file, and then to say so with `finish`.
  func claim(_ file: FileIdentity) -> Bool {
    state.withLock { state in
      guard state.slots[file] == nil else { return false }
      state.slots[file] = Slot(content: .beingRead)
      return true
    }
  }

  /// What reading gave; nil when it failed.
  func finish(_ file: FileIdentity, _ entry: Entry?) {
    state.update { $0.slots[file]?.content = entry.map { .known($0) } ?? .unreadable }
  }

  /// What is known of a file without reading it, unless somebody knows it already.
  func offer(_ file: FileIdentity, _ entry: Entry) {
    state.withLock { state in
      if state.slots[file] == nil { state.slots[file] = Slot(content: .known(entry)) }
    }
  }

  /// The entry for one more name of a file that was claimed or offered; nil when it could not be read. Links are met in
  /// the order of the walk, by one thread, so that their groups do not depend on who reads faster. A group is that of
  /// the base when it is the same file still.
  func meet(_ file: FileIdentity, name: [UInt8], base: Entry?) -> Entry? {
    state.wait { state -> Entry?? in
      guard var slot = state.slots[file] else { return .some(nil) }
      switch slot.content {
      case .beingRead: return nil
      case .unreadable: return .some(nil)
      case .known(var entry):
        if let missing = slot.missing {
          slot.missing = missing > 0 ? missing - 1 : 0
        } else {
          if let base, let known = base.linkGroup, base.sourceInode == file.inode {
            slot.group = known
          } else {
            slot.group = state.nextGroup
            state.nextGroup += 1
          }
          slot.missing = entry.linkCount > 0 ? entry.linkCount - 1 : 0
        }
        state.slots[file] = slot.missing == 0 ? nil : slot
        entry.name = name
        entry.linkGroup = slot.group
        return .some(entry)
      }
    } ?? nil
  }
}
