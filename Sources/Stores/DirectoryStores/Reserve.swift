internal import Glibc
internal import Platform

/// A little room that is kept free on purpose: a file beside the objects, which is given up when the disk is full, so that
/// the note can be written by which snapshots are removed, and the list by which space comes back. Who takes a lease when
/// there is room again makes it anew.
struct Reserve {
  /// More than a list of condemned packs takes as a rule, and little on any disk.
  static let size = 1 << 20
  /// It is not made where that is a part of what is left.
  private static let roomMin: UInt64 = 8 << 20

  private let folder: String
  private var path: [UInt8] { (folder + "/reserve").pathBytes }

  /// `folder` is that of the repository.
  init(in folder: String) { self.folder = folder }

  /// Makes it unless it is there. Where that fails there is none, which is no reason for anything else to fail.
  func keep() {
    guard (try? FileStatus(of: path)) == nil, let place = try? Descriptor.open(folder, Descriptor.directoryFlags),
      let space = try? place.fileSystemSpace(), space.available >= Self.roomMin,
      let file = try? Descriptor.open(folder + "/reserve", O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
    else { return }
    do {
      // Not zeros, and not one block many times: a file system may keep such in no room at all.
      try file.write(System.random(Self.size))
    } catch {
      _ = giveUp()
    }
  }

  /// False when there is none.
  func giveUp() -> Bool { (try? FileSystem.removeFile(path, at: nil)) != nil }
}
