internal import Glibc
internal import Synchronization

/// A directory of a `DirectoryStack`: open, unless the walk is far below it. For any thread.
package final class OpenDirectory: Sendable {
  private let held: Mutex<Descriptor?>
  package init(_ descriptor: Descriptor) { held = Mutex(descriptor) }

  /// Nil while it is closed.
  package fileprivate(set) var descriptor: Descriptor? {
    get { held.withLock { $0 } }
    set { held.withLock { $0 = newValue } }
  }

  /// Of the directory that the walk is at, which is always open.
  package var current: Descriptor {
    guard let descriptor else { preconditionFailure("the walk is at this directory") }
    return descriptor
  }
}

/// A directory that a walk comes back to is no more to be had.
package struct LostDirectory: Error, Equatable {
  /// Nil when another directory is in its place: what the walk comes from was moved meanwhile.
  package let cause: Errno?
  package init(cause: Errno?) { self.cause = cause }
}

/// The directories from where a walk began down to where it is, each found in the one above. Only the innermost so many
/// are open, however deep the tree is. One further up is closed, and opened again by way of `..` when the walk comes
/// back to it. Somebody may have moved the directory below elsewhere by then, which would lead the walk out of its tree:
/// so it must be the same directory, by device and inode.
package struct DirectoryStack {
  private struct Level {
    let directory: OpenDirectory
    /// For `open(2)`.
    let flags: CInt
    /// What it must be when it is opened again; nil while it is open.
    var identity: FileIdentity?
  }
  private let openMax: Int
  private var levels: [Level] = []

  /// At most `openMax` directories are open at once.
  package init(openMax: Int = 256) {
    precondition(openMax > 0, "the directory at hand is open")
    self.openMax = openMax
  }

  package var isEmpty: Bool { levels.isEmpty }
  package var count: Int { levels.count }
  /// The directory that the walk is at; nil before the first and after the last.
  package var top: Descriptor? { levels.last?.directory.current }

  /// Goes into a directory of the one at hand. It was opened with `flags`, and is again where that is needed.
  package mutating func push(_ directory: OpenDirectory, flags: CInt) throws(Errno) {
    let far = levels.count - openMax
    if far >= 0, let descriptor = levels[far].directory.descriptor {
      levels[far].identity = try descriptor.status().identity
      levels[far].directory.descriptor = nil
    }
    levels.append(Level(directory: directory, flags: flags))
  }

  /// Goes back to the directory above the one at hand. That one stays open as long as somebody holds its descriptor.
  package mutating func pop() throws(LostDirectory) {
    guard let left = levels.popLast(), let above = levels.last, let identity = above.identity else { return }
    do throws(Errno) {
      let descriptor = try Descriptor.open("..", at: left.directory.current, above.flags)
      if try descriptor.status().identity == identity {
        above.directory.descriptor = descriptor
        levels[levels.count - 1].identity = nil
        return
      }
    } catch {
      throw LostDirectory(cause: error)
    }
    throw LostDirectory(cause: nil)
  }
}
