internal import CFuse
internal import Glibc
internal import Platform
internal import Reporting

/// The directory that is mounted on.
enum MountPoint {
  static let fileSystemType = "fuse.yesterfs"

  /// Checks that one can mount at `path` and gives its absolute form. A mount whose driver has died is taken away
  /// first. `repository` is the directory of the repository, if it is one of this machine.
  static func prepare(_ path: String, repository: String?, allowingContent: Bool) throws(YesterError) -> String {
    removeStale(path)
    let status: FileStatus
    do throws(Errno) {
      status = try FileStatus(of: path)
    } catch {
      switch error {
      case .notFound:
        throw YesterError(.failed, "the mount point \(path) does not exist", advice: "Create the directory first.")
      case .notConnected:
        throw YesterError(
          .failed, "a dead mount lies on \(path) and cannot be taken away",
          advice: "Try: fusermount3 -u -z \(path)", cause: error)
      default: throw YesterError(.failed, "the mount point \(path) cannot be looked at: \(error)", cause: error)
      }
    }
    guard status.isDirectory else { throw YesterError(.failed, "the mount point \(path) is not a directory") }
    guard let absolute = System.realPath(path) else {
      let error = Errno.current
      throw YesterError(.failed, "the mount point \(path) cannot be resolved: \(error)", cause: error)
    }
    if let present = MountInfo.at(absolute.pathBytes), present.type.elementsEqual(fileSystemType.utf8) {
      throw YesterError(.busy, "\(absolute) is mounted already, with snapshots of \(String(path: present.source))")
    }
    if let repository {
      if isInside(absolute, repository) {
        throw YesterError(
          .failed, "the mount point \(absolute) lies inside the repository \(repository)", advice: "Choose another.")
      }
      if isInside(repository, absolute) {
        throw YesterError(
          .failed, "the repository \(repository) lies inside the mount point \(absolute)", advice: "Choose another.")
      }
    }
    if !allowingContent { try requireEmpty(absolute) }
    return absolute
  }

  private static func requireEmpty(_ path: String) throws(YesterError) {
    var isEmpty = true
    do throws(Errno) {
      let directory = try Descriptor.open(path, Descriptor.directoryFlags)
      try Directory.forEachName(directory) { _, _ in isEmpty = false }
    } catch {
      throw YesterError(.failed, "the mount point \(path) cannot be read: \(error)", cause: error)
    }
    if !isEmpty {
      throw YesterError(
        .failed, "the mount point \(path) is not empty; its content would be hidden (-o nonempty allows it)")
    }
  }

  static func isInside(_ path: String, _ directory: String) -> Bool {
    path == directory || path.hasPrefix(directory == "/" ? "/" : directory + "/")
  }

  /// A driver that was killed leaves a mount that answers everything with ENOTCONN. Not so stat(2) while the kernel
  /// still believes what it was told of the root; statfs(2) it always passes on.
  private static func removeStale(_ path: String) {
    var totals = statvfs()
    guard path.pathBytes.withCPath({ statvfs($0, &totals) }) != 0 else { return }
    // The other error is that of a driver that died while it was asked.
    guard [.notConnected, .connectionAborted].contains(Errno.current) else { return }
    if detach(path, force: false) { DriverLog.write(.notice, "took away the dead mount on \(path)") }
  }

  /// Takes the mount away at once, though files may be open in it. `force` also ends the requests under way (root).
  @discardableResult
  static func detach(_ path: String, force: Bool) -> Bool {
    if path.pathBytes.withCPath({ yf_umount($0, force ? 1 : 0) }) == 0 { return true }
    // fusermount3 needs /etc/mtab, which a root file system made by hand lacks.
    return runHelper(["fusermount3", "-u", "-z", "-q", "--", path]) || runHelper(["umount", "-l", "--", path])
  }

  private static func runHelper(_ arguments: [String]) -> Bool {
    (try? ChildProcess.run(arguments, output: .discarded, errors: .discarded))?.isSuccess ?? false
  }

  /// An ordinary user may let others in only where the administrator allows it.
  static func requireAllowOther() throws(YesterError) {
    guard !System.isRoot else { return }
    let file = try? Descriptor.open("/etc/fuse.conf")
    let text = String(decoding: (try? file?.readAll(limit: 1 << 20)) ?? [], as: UTF8.self)
    let isAllowed = text.split(separator: "\n").contains { $0.split(separator: " ") == ["user_allow_other"] }
    if !isAllowed {
      throw YesterError(
        .usage,
        "allow_other needs the line user_allow_other in /etc/fuse.conf, which only root can add; "
          + "without allow_other the mount is visible to you alone")
    }
  }
}

extension Errno {
  /// "Transport endpoint is not connected": the driver of a mount is dead.
  static let notConnected = Errno(rawValue: ENOTCONN)
  /// "Software caused connection abort": the driver died before it had answered.
  static let connectionAborted = Errno(rawValue: ECONNABORTED)
}
