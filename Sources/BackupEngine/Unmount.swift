internal import Glibc
internal import Platform
internal import RepositoryStore

/// Ends a mount from outside.
package enum Unmount {
  /// Unmounts at once when nobody uses it; otherwise lazily: the name is free at once, open files go on.
  package static func run(_ mountPoint: String) throws {
    guard try isMounted(mountPoint) else {
      throw YesterError(.failed, "\(mountPoint) is no mount of yester's", advice: "\"findmnt\" shows what is mounted.")
    }
    if System.isRoot {
      for flags in [0, CInt(MNT_DETACH)] where mountPoint.pathBytes.withCPath({ umount2($0, flags) }) == 0 { return }
      throw YesterError(.failed, "\(mountPoint) could not be unmounted: \(Errno.current)")
    }
    // An ordinary user may only unmount by way of a set-uid helper. That of FUSE looks for mounts in a file that a
    // root file system made by hand lacks; umount(8) asks the kernel.
    guard access("/etc/mtab", R_OK) == 0 else {
      if try spawn(["umount", "-l", "--", mountPoint]) == 0 { return }
      throw YesterError(
        .failed, "\(mountPoint) could not be unmounted: fusermount3 needs the file /etc/mtab, which is missing",
        advice: "Run as root: ln -s /proc/self/mounts /etc/mtab")
    }
    if try spawn(["fusermount3", "-u", "-q", "--", mountPoint]) == 0 { return }
    guard try spawn(["fusermount3", "-u", "-z", "--", mountPoint]) == 0 else {
      throw YesterError(.failed, "\(mountPoint) could not be unmounted (fusermount3 says why above)")
    }
  }

  private static func isMounted(_ path: String) throws -> Bool {
    // The path of a mount whose driver died cannot be looked at, but it is in the table.
    let wanted = System.realPath(path) ?? absolute(path)
    let table = "/proc/self/mounts"
    let bytes: [UInt8]
    do throws(Errno) {
      bytes = try Descriptor.open(table).readAll(limit: 64 << 20)
    } catch {
      throw YesterError(
        .failed, "Nobody can say whether \(path) is a mount: reading \(table) failed: \(error)",
        advice: "Mount /proc, or end the mount with \"umount\".", cause: error)
    }
    return bytes.split(separator: 0x0A).contains { line in
      let fields = line.split(separator: 0x20)
      return fields.count > 2 && fields[2].elementsEqual("fuse.yesterfs".utf8) && unescaped(fields[1]) == wanted
    }
  }

  private static func absolute(_ path: String) -> String {
    var text = path
    while text.count > 1 && text.hasSuffix("/") { text.removeLast() }
    return text.hasPrefix("/") ? text : (System.realPath(".") ?? "") + "/" + text
  }

  /// Spaces and the like stand as octal numbers in the table (proc(5)).
  private static func unescaped(_ field: ArraySlice<UInt8>) -> String {
    var out: [UInt8] = []
    var rest = field
    while let byte = rest.popFirst() {
      if byte == 0x5C, rest.count >= 3, let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8) {
        out.append(value)
        rest = rest.dropFirst(3)
      } else {
        out.append(byte)
      }
    }
    return String(path: out)
  }

  package static func spawn(_ arguments: [String]) throws -> CInt {
    var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { $0.pathBytes.withCPath { strdup($0) } } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    var process = pid_t()
    guard posix_spawnp(&process, arguments[0], nil, nil, &pointers, environ) == 0 else {
      throw YesterError(.failed, "\(arguments[0]) could not be started", advice: "Install the package fuse3.")
    }
    var status: CInt = 0
    while waitpid(process, &status, 0) < 0 && errno == EINTR {}
    return status
  }
}
