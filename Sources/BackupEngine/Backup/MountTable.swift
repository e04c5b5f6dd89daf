internal import Platform

/// File systems that hold no files of the user's: the kernel makes their content up. And mounts of yester itself,
/// which would back up the backups.
struct MountTable {
  private static let skipped: Set<String> = [
    "proc", "sysfs", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "pstore", "bpf", "configfs", "fusectl",
    "mqueue", "hugetlbfs", "binfmt_misc", "autofs", "efivarfs", "nsfs", "rpc_pipefs", "devpts", "fuse.yesterfs",
  ]
  /// Devices of such file systems, with their types.
  private var virtualDevices: [UInt64: String] = [:]

  /// Reads /proc/self/mountinfo (proc(5)): the third field is `major:minor`, the type follows a lone hyphen.
  init() {
    guard let file = try? Descriptor.open("/proc/self/mountinfo"), let bytes = try? file.readAll(limit: 64 << 20)
    else { return }
    for line in bytes.split(separator: 0x0A) {
      let fields = line.split(separator: 0x20).map { String(decoding: $0, as: UTF8.self) }
      guard fields.count > 4, let hyphen = fields.firstIndex(of: "-"), hyphen + 1 < fields.count,
        Self.skipped.contains(fields[hyphen + 1])
      else { continue }
      let numbers = fields[2].split(separator: ":").compactMap { UInt64($0) }
      if numbers.count == 2 { virtualDevices[numbers[0] << 32 | numbers[1]] = fields[hyphen + 1] }
    }
  }

  /// The type of the virtual file system with this device number; nil for real ones.
  func virtualType(_ device: UInt64) -> String? { virtualDevices[device] }
}
