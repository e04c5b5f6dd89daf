internal import ChunkCodec
internal import Glibc
internal import ObjectStores
internal import Platform
internal import RepositoryFormat
internal import Synchronization

/// Gives finished uploads their names. How, depends on what the file system can do; that is found out by doing it, once
/// for each store, and written down nowhere: a repository may be copied to another file system.
///
/// 1. **link(2)**: one call that fails where the name is taken.
/// 2. **renameat2(2) with RENAME_NOREPLACE**: the same, where there are no hard links (FAT and exFAT of the kernel).
/// 3. Where there is neither (exFAT, FAT and NTFS through FUSE, some network shares), it depends on who may want the name:
///    - An object that is **named by its content** is renamed to its name when nothing is there. Who comes between the
///      look and the rename brings the same bytes, so that it does not matter whose stay.
///    - **`config` and leases**, where being first decides something, are claimed: an empty file is made with O_EXCL,
///      which one alone can do, and then the whole object is renamed over it. A crash in between leaves an empty file.
///      Readers take an empty lease for no lease (it is removed by the next `prune`), and an empty `config` for damage,
///      never for whole.
///
/// In each of these ways a name shows the whole object or nothing (or an empty claim) as long as the machine runs. A power
/// failure may leave less on a file system without a journal. So when a name that stands for its content is taken,
/// what is there is read, and replaced unless it is what it says.
///
/// All threads; in the third way one at a time.
final class ObjectPlacing: Sendable {
  enum Way: Int, Sendable, CaseIterable { case link, renameUnlessTaken, renameAfterLook }

  private let root: String
  private let way: Mutex<Way>
  private let oneAtATime = Mutex(())
  /// Waits until the names in a directory are on the disk.
  private let syncDirectory: @Sendable (String) throws(Errno) -> Void

  /// `way` is the best that is tried.
  init(
    _ root: String, startingWith way: Way = .link,
    syncDirectory: @escaping @Sendable (String) throws(Errno) -> Void = { (path) throws(Errno) in
      try Directory.sync(path)
    }
  ) {
    self.root = root
    self.way = Mutex(way)
    self.syncDirectory = syncDirectory
  }

  /// The way that works here, as far as is known.
  var known: Way { way.withLock { $0 } }

  /// Gives the file at `temporary` the name of `key`; false when that is taken. With `isDurable` the name is on the disk
  /// when this returns. `temporary` may still be there afterwards.
  func place(_ temporary: String, as key: ObjectKey, isDurable: Bool) throws(Errno) -> Bool {
    let target = root + "/" + key.path
    let folder = String(target[..<(target.lastIndex(of: "/") ?? target.startIndex)])
    var isNew: Bool
    do throws(Errno) {
      isNew = try name(temporary, target, key)
    } catch {
      // The file to be named is there: otherwise the repository has gone away, and what would be made were folders in
      // the mount point of its disk.
      guard error == .notFound, (try? FileStatus(of: temporary)) != nil else { throw error }
      // A copy of a repository may lack empty folders, and those of packs come when they are needed.
      try makeFolders(to: folder)
      isNew = try name(temporary, target, key)
    }
    if !isNew, let id = key.contentID, try !holds(target, id), try holds(temporary, id) {
      try FileSystem.rename(temporary.pathBytes, at: nil, to: target.pathBytes, at: nil)
      isNew = true
    }
    // The simplest file systems keep names with the file, do nothing when asked to write a directory, and may write the
    // name of a file long before its bytes. There, a lease is no exception: half of one would hold others up.
    if known != .link { try Self.sync(file: Descriptor.open(target)) }
    if isDurable { try syncDirectory(folder) }
    return isNew
  }

  /// Gives the file at `temporary` the name of `key` in the place of what has it, durably.
  func replace(_ key: ObjectKey, by temporary: String) throws(Errno) {
    let target = root + "/" + key.path
    let folder = String(target[..<(target.lastIndex(of: "/") ?? target.startIndex)])
    do throws(Errno) {
      try FileSystem.rename(temporary.pathBytes, at: nil, to: target.pathBytes, at: nil)
    } catch {
      guard error == .notFound, (try? FileStatus(of: temporary)) != nil else { throw error }
      try makeFolders(to: folder)
      try FileSystem.rename(temporary.pathBytes, at: nil, to: target.pathBytes, at: nil)
    }
    if known != .link { try Self.sync(file: Descriptor.open(target)) }
    try syncDirectory(folder)
  }

  /// Makes `folder`, and brings the names of all that is made for it to the disk.
  private func makeFolders(to folder: String) throws(Errno) {
    try Directory.makeAll(folder)
    var path = folder
    while path.utf8.count > root.utf8.count, let slash = path.lastIndex(of: "/") {
      path = String(path[..<slash])
      try syncDirectory(path)
    }
  }

  private func name(_ temporary: String, _ target: String, _ key: ObjectKey) throws(Errno) -> Bool {
    let from = temporary.pathBytes
    let to = target.pathBytes
    do throws(Errno) {
      if known == .link {
        do throws(Errno) {
          try FileSystem.makeLink(from: from, at: nil, to: to, at: nil)
          return true
        } catch {
          try fallBack(to: .renameUnlessTaken, after: error)
        }
      }
      if known == .renameUnlessTaken {
        do throws(Errno) {
          try FileSystem.rename(from, at: nil, to: to, at: nil, .noReplace)
          return true
        } catch {
          try fallBack(to: .renameAfterLook, after: error)
        }
      }
      return try renameAfterLook(from, to, key)
    } catch {
      if error == .exists { return false }
      throw error
    }
  }

  /// Remembers that a way does not exist here. When there was another reason, the next way meets it as well.
  private func fallBack(to next: Way, after error: Errno) throws(Errno) {
    // EPERM is what link(2) says on FAT, EINVAL what renameat2(2) says of a flag that it does not know; FUSE file systems
    // say ENOSYS or EOPNOTSUPP.
    guard [.notPermitted, .invalid, .notSupported, .notImplemented].contains(error) else { throw error }
    way.withLock { $0 = next }
  }

  private func renameAfterLook(_ from: [UInt8], _ to: [UInt8], _ key: ObjectKey) throws(Errno) -> Bool {
    let result: Result<Bool, Errno> = oneAtATime.withLock { _ in
      do throws(Errno) {
        if key.contentID != nil {
          do throws(Errno) {
            _ = try FileStatus(of: to)
            return .success(false)
          } catch {
            if error != .notFound { throw error }
          }
        } else {
          _ = try Descriptor.open(to, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        }
        try FileSystem.rename(from, at: nil, to: to, at: nil)
        return .success(true)
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  /// Whether the file at `path` has the content that `id` stands for. What the disk cannot read has not.
  private func holds(_ path: String, _ id: ObjectID) throws(Errno) -> Bool {
    let file = try Descriptor.open(path)
    let hash = SHA256()
    let buffer = Bytes(capacity: 256 << 10)
    while true {
      let got: Int
      do throws(Errno) {
        got = try file.readSome(into: buffer.whole)
      } catch {
        guard error == .inputOutput else { throw error }
        return false
      }
      if got == 0 { return ObjectID(nameOf: hash.finish()) == id }
      hash.update(UnsafeRawBufferPointer(rebasing: buffer.whole[..<got]))
    }
  }

  // MARK: Writing to the disk

  /// Waits until a file is on the disk. Where a single file cannot be waited for, the whole file system is.
  static func sync(file: Descriptor) throws(Errno) {
    do throws(Errno) {
      try file.sync()
    } catch {
      guard error.refusesToSync else { throw error }
      try file.syncFileSystem()
    }
  }
}
