internal import Platform

/// A line of /proc/self/mountinfo (proc(5)).
struct MountTableEntry: Equatable {
  /// `major:minor` of the device number that its files show.
  let device: String
  let mountPoint: String
  let type: String
  let source: String
  /// The file system as a whole, wherever else it is mounted.
  let isReadOnly: Bool
}

enum MountTable {
  /// A machine with containers has thousands of mounts at 100 to 1000 bytes each.
  private static let sizeLimit = 64 << 20

  /// What is mounted at `path` (absolute, without links); the uppermost when there are several.
  static func entry(at path: String) -> MountTableEntry? {
    guard let file = try? Descriptor.open("/proc/self/mountinfo"), let bytes = try? file.readAll(limit: sizeLimit)
    else { return nil }
    return parse(bytes).last { $0.mountPoint == path }
  }

  static func parse(_ bytes: [UInt8]) -> [MountTableEntry] {
    bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
      let fields = line.split(separator: UInt8(ascii: " "))
      // A varying number of optional fields ends with a dash.
      guard fields.count >= 10, let dash = fields[6...].firstIndex(where: { $0.elementsEqual([0x2D]) }),
        fields.count > dash + 3
      else { return nil }
      return MountTableEntry(
        device: plain(fields[2]),
        mountPoint: plain(fields[4]),
        type: plain(fields[dash + 1]),
        source: plain(fields[dash + 2]),
        isReadOnly: fields[dash + 3].split(separator: UInt8(ascii: ",")).contains { $0.elementsEqual("ro".utf8) }
      )
    }
  }

  /// Undoes the octal escapes for blanks and backslashes.
  private static func plain(_ field: ArraySlice<UInt8>) -> String {
    var out: [UInt8] = []
    var rest = field
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), rest.count >= 3,
        let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
      {
        out.append(value)
        rest.removeFirst(3)
      } else {
        out.append(byte)
      }
    }
    return String(path: out)
  }
}
