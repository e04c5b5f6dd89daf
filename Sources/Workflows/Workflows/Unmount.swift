internal import Glibc
internal import Platform
internal import Reporting

/// Ends a mount from outside.
package enum Unmount {
  /// Unmounts at once when nobody uses it; otherwise lazily: the name is free at once, open files go on.
  package static func run(_ mountPoint: String) throws {
    guard try isMounted(mountPoint) else {
      throw YesterError(.failed, "\(mountPoint) is no mount of yester's", advice: "\"findmnt\" shows what is mounted.")
    }
    try detach(mountPoint)
  }

  /// The same for a mount that this process has made, without a look whether it is one.
  package static func detach(_ mountPoint: String) throws {
    if System.isRoot {
      for flags in [0, CInt(MNT_DETACH)] where mountPoint.pathBytes.withCPath({ umount2($0, flags) }) == 0 { return }
      throw YesterError(.failed, "\(mountPoint) could not be unmounted: \(Errno.current)")
    }
    // An ordinary user may only unmount by way of a set-uid helper. That of FUSE looks for mounts in a file that a
    // root file system made by hand lacks; umount(8) asks the kernel.
    guard access("/etc/mtab", R_OK) == 0 else {
      if try succeeds(["umount", "-l", "--", mountPoint], package: "mount") { return }
      throw YesterError(
        .failed, "\(mountPoint) could not be unmounted: fusermount3 needs the file /etc/mtab, which is missing",
        advice: "Run as root: ln -s /proc/self/mounts /etc/mtab")
    }
    if try succeeds(["fusermount3", "-u", "-q", "--", mountPoint], package: "fuse3") { return }
    guard try succeeds(["fusermount3", "-u", "-z", "--", mountPoint], package: "fuse3") else {
      throw YesterError(.failed, "\(mountPoint) could not be unmounted (fusermount3 says why above)")
    }
  }

  private static func isMounted(_ path: String) throws -> Bool {
    // The path of a mount whose driver died cannot be looked at, but it is in the table.
    let wanted = System.realPath(path) ?? absolute(path)
    let mounts: [MountInfo]
    do throws(Errno) {
      mounts = try MountInfo.read()
    } catch {
      throw YesterError(
        .failed, "Nobody can say whether \(path) is a mount: reading \(MountInfo.table) failed: \(error)",
        advice: "Mount /proc, or end the mount with \"umount\".", cause: error)
    }
    return mounts.contains { $0.type.elementsEqual("fuse.yesterfs".utf8) && $0.mountPoint == wanted.pathBytes }
  }

  private static func absolute(_ path: String) -> String {
    var text = path
    while text.count > 1 && text.hasSuffix("/") { text.removeLast() }
    return text.hasPrefix("/") ? text : (System.realPath(".") ?? "") + "/" + text
  }

  /// Whether a program that unmounts has done so; what it says goes to this process's standard error.
  private static func succeeds(_ arguments: [String], package: String) throws(YesterError) -> Bool {
    do throws(Errno) {
      return try ChildProcess.run(arguments).isSuccess
    } catch {
      throw YesterError(
        .failed, "The program \(arguments[0]) could not be started: \(error)",
        advice: "It was looked for on the PATH. Install the package \(package).", cause: error)
    }
  }
}
