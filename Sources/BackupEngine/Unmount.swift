internal import Glibc
internal import Platform
internal import RepositoryStore

/// Ends a mount from outside.
package enum Unmount {
  /// Unmounts at once when nobody uses it; otherwise lazily: the name is free at once, open files go on.
  package static func run(_ mountPoint: String) throws {
    guard isMounted(mountPoint) else {
      throw YesterError(.failed, "\(mountPoint) is no mount of yester's", advice: "\"findmnt\" shows what is mounted.")
    }
    if System.isRoot {
      if umount2(mountPoint, 0) == 0 { return }
      if umount2(mountPoint, CInt(MNT_DETACH)) == 0 { return }
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

  private static func isMounted(_ path: String) -> Bool {
    // The path of a mount whose driver died cannot be looked at, but it is in the table.
    let wanted = System.realPath(path) ?? absolute(path)
    guard let file = try? Descriptor.open("/proc/self/mounts"), let bytes = try? file.readAll(limit: 64 << 20) else {
      return false
    }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").contains { line in
      let fields = line.split(separator: " ")
      return fields.count > 2 && fields[2] == "fuse.yesterfs" && unescaped(fields[1]) == wanted
    }
  }

  private static func absolute(_ path: String) -> String {
    var text = path
    while text.count > 1 && text.hasSuffix("/") { text.removeLast() }
    return text.hasPrefix("/") ? text : (System.realPath(".") ?? "") + "/" + text
  }

  /// Spaces and the like stand as octal numbers in the table (proc(5)).
  private static func unescaped(_ field: Substring) -> String {
    var out: [UInt8] = []
    var rest = Array(field.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == 0x5C, rest.count >= 3, let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8) {
        out.append(value)
        rest = rest.dropFirst(3)
      } else {
        out.append(byte)
      }
    }
    return String(decoding: out, as: UTF8.self)
  }

  package static func spawn(_ arguments: [String]) throws -> CInt {
    var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
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
