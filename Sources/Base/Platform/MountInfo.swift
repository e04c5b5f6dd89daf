/// A mount of this process's name space, from /proc/self/mountinfo (proc(5)).
package struct MountInfo: Sendable, Equatable {
  /// As `FileStatus.device` gives it.
  package let device: UInt64
  /// The directory of the file system that is seen at the mount point: "/", unless a part of it was bound there.
  package let root: [UInt8]
  package let mountPoint: [UInt8]
  package let type: [UInt8]
  package let source: [UInt8]
  /// The file system as a whole, wherever else it is mounted.
  package let isReadOnly: Bool

  /// A file whose readers are woken when a mount of this name space changes: poll(2) gives POLLPRI.
  package static let table = "/proc/self/mountinfo"
  /// A machine with containers has thousands of mounts at 100 to 1000 bytes each.
  private static let sizeMax = 64 << 20

  /// All mounts, in the order in which they were made.
  package static func read() throws(Errno) -> [MountInfo] {
    parse(try Descriptor.open(table).readAll(limit: sizeMax))
  }

  /// All mounts, in the order in which they were made; none where /proc is not mounted.
  package static func all() -> [MountInfo] { (try? read()) ?? [] }

  /// What is mounted at `path` (absolute, without links), the uppermost when there are several; nil also where /proc is
  /// not mounted.
  package static func at(_ path: [UInt8]) -> MountInfo? { all().last { $0.mountPoint == path } }

  /// Lines that are not understood are passed over.
  package static func parse(_ bytes: [UInt8]) -> [MountInfo] {
    bytes.split(separator: 0x0A).compactMap { MountInfo(line: $0) }
  }

  private init?(line: ArraySlice<UInt8>) {
    let fields = line.split(separator: 0x20)
    // The third field is `major:minor`; a varying number of optional ones ends with a lone hyphen.
    guard fields.count > 6, let hyphen = fields[6...].firstIndex(where: { $0.elementsEqual([0x2D]) }),
      fields.count > hyphen + 2
    else { return nil }
    let numbers = String(decoding: fields[2], as: UTF8.self).split(separator: ":").map { UInt32($0) }
    guard numbers.count == 2, let major = numbers[0], let minor = numbers[1] else { return nil }
    device = UInt64(major) << 32 | UInt64(minor)
    root = Self.plain(fields[3])
    mountPoint = Self.plain(fields[4])
    type = Self.plain(fields[hyphen + 1])
    source = Self.plain(fields[hyphen + 2])
    let options = fields.count > hyphen + 3 ? fields[hyphen + 3].split(separator: 0x2C) : []
    isReadOnly = options.contains { $0.elementsEqual("ro".utf8) }
  }

  /// Undoes the octal escapes for blanks and backslashes.
  private static func plain(_ field: ArraySlice<UInt8>) -> [UInt8] {
    var out: [UInt8] = []
    var rest = field
    while let byte = rest.popFirst() {
      if byte == 0x5C, rest.count >= 3, let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8) {
        out.append(value)
        rest.removeFirst(3)
      } else {
        out.append(byte)
      }
    }
    return out
  }
}
