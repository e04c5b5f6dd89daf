internal import ObjectStores
package import Platform
package import RepositoryCore
internal import RepositoryFormat
internal import Synchronization

/// Mounts that a backup does not simply enter: file systems that hold no files of the user's, since the kernel makes
/// their content up, and mounts of yester itself. For any thread.
package final class MountTable: Sendable {
  private static let virtualTypes: Set<String> = [
    "proc", "sysfs", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "pstore", "bpf", "configfs", "fusectl",
    "mqueue", "hugetlbfs", "binfmt_misc", "autofs", "efivarfs", "nsfs", "rpc_pipefs", "devpts",
  ]
  private static let ownType = "fuse.yesterfs"

  package enum Special: Sendable, Equatable {
    /// Of this type; it holds no files of the user's.
    case virtual(type: String)
    /// Snapshots of the very repository that is written to, or looked at.
    case sameRepository
    /// Snapshots of another one, which lies there.
    case otherRepository(location: [UInt8])
  }
  private struct OwnMount {
    /// Where the repository lies whose snapshots it shows.
    let location: [UInt8]
    /// Where it is seen, and what of it: a part may be bound to another place.
    var views: [(mountPoint: [UInt8], root: [UInt8])] = []

    /// What a path on this mount leads to, as names from the mount's own root; nil when it does not lie in any view.
    func names(_ path: [UInt8]) -> [ArraySlice<UInt8>]? {
      let path = path.split(separator: 0x2F)
      var best: [ArraySlice<UInt8>]?
      var depth = -1
      for view in views {
        let above = view.mountPoint.split(separator: 0x2F)
        guard above.count > depth, path.starts(with: above) else { continue }
        depth = above.count
        best = view.root.split(separator: 0x2F) + path.dropFirst(above.count)
      }
      return best
    }
  }
  private let repository: RepositoryIdentity?
  /// Types by device number.
  private let virtual: [UInt64: String]
  private let own: [UInt64: OwnMount]
  /// What was found out of `own`. Asked only when such a mount is met: its repository may be slow to answer, or gone.
  private let known = Mutex<[UInt64: Special]>([:])

  /// The table of mounts was not to be had, as in a chroot without /proc.
  private let isUnreadable: Bool

  /// Virtual types by the magic numbers of statfs(2) (linux/magic.h), as far as they have one of their own.
  private static let magicNumbers: [UInt32: String] = [
    0x9FA0: "proc", 0x6265_6572: "sysfs", 0x27_E0EB: "cgroup", 0x6367_7270: "cgroup2", 0x6462_6720: "debugfs",
    0x7472_6163: "tracefs", 0x7363_6673: "securityfs", 0x6165_676C: "pstore", 0xCAFE_4A11: "bpf",
    0x6265_6570: "configfs", 0x6573_5543: "fusectl", 0x1980_0202: "mqueue", 0x9584_58F6: "hugetlbfs",
    0x4249_4E4D: "binfmt_misc", 0x0187: "autofs", 0xDE5E_81E4: "efivarfs", 0x6E73_6673: "nsfs",
    0x6759_6969: "rpc_pipefs", 0x1CD1: "devpts",
  ]

  /// `repository` is the one that is worked with.
  package init(repository: Repository?, mounts: [MountInfo] = MountInfo.all()) {
    self.repository = repository.map { RepositoryIdentity($0) }
    var virtual: [UInt64: String] = [:]
    var own: [UInt64: OwnMount] = [:]
    for mount in mounts {
      let type = String(decoding: mount.type, as: UTF8.self)
      if Self.virtualTypes.contains(type) { virtual[mount.device] = type }
      if type == Self.ownType {
        own[mount.device, default: OwnMount(location: mount.source)].views.append((mount.mountPoint, mount.root))
      }
    }
    isUnreadable = mounts.isEmpty
    self.virtual = virtual
    self.own = own
  }

  /// To be called with a directory that a walk comes to, before its device is asked about: without a table of mounts,
  /// the directory itself tells on what it lies.
  package func meet(_ directory: Descriptor, _ device: UInt64) {
    guard isUnreadable, let magic = try? directory.fileSystemType(), let type = Self.magicNumbers[magic] else { return }
    known.withLock { $0[device] = .virtual(type: type) }
  }

  /// What is special about the file system with this device number; nil for ordinary ones.
  package subscript(device: UInt64) -> Special? {
    if let type = virtual[device] { return .virtual(type: type) }
    if isUnreadable { return known.withLock { $0[device] } }
    guard let mount = own[device] else { return nil }
    if let known = known.withLock({ $0[device] }) { return known }
    let isSame = repository?.isAt(String(path: mount.location)) ?? false
    let special: Special = isSame ? .sameRepository : .otherRepository(location: mount.location)
    known.withLock { $0[device] = special }
    return special
  }

  /// Whether an absolute path shows all snapshots, or all of a host, and not one of them.
  package func showsAll(_ path: [UInt8], of device: UInt64) -> Bool {
    guard let names = own[device]?.names(path) else { return false }
    return names.isEmpty || names.count == 1 && Self.isHost(names[0])
  }

  /// Whether an absolute path is what a mount of yester shows beside its snapshots: no files, but what is made up when
  /// somebody asks.
  package func isBesideSnapshots(_ path: [UInt8], of device: UInt64) -> Bool {
    guard let names = own[device]?.names(path), let last = names.last, last.elementsEqual(".yester".utf8) else {
      return false
    }
    // A mount of all hosts has it in each host's directory. In a snapshot such a name is the user's.
    return names.count == 1 || names.count == 2 && Self.isHost(names[0])
  }

  /// Of what is right below a mount's root.
  private static func isHost(_ bytes: ArraySlice<UInt8>) -> Bool {
    let name = String(decoding: bytes, as: UTF8.self)
    let isDay = name.utf8.count == 8 && name.utf8.allSatisfy { (0x30...0x39).contains($0) }
    return !isDay && !isValidSnapshotName(name) && name != "latest" && name != ".yester"
  }

  /// Whether a walk stays out of what lies on a device that it comes to.
  package func isSkipped(_ device: UInt64) -> Bool {
    switch self[device] {
    case .virtual, .sameRepository: true
    case .otherRepository, nil: false
    }
  }
}

/// A repository by where it lies and by its id: it may be reached by several locations.
private struct RepositoryIdentity {
  private let directory: FileIdentity?
  private let id: RepositoryID
  private let stores: StoreRegistry

  init(_ repository: Repository) {
    directory = Self.directory(repository.store.localPath)
    id = repository.config.id
    stores = repository.stores
  }

  /// Whether that location leads to it. What cannot be opened is another one.
  func isAt(_ location: String) -> Bool {
    if let directory, directory == Self.directory((try? stores.resolve(location))?.localPath) { return true }
    var settings = StoreSettings()
    // A walk is not to wait for long for what it only meets.
    settings.retries.triesMax = 1
    return (try? Repository.config(of: stores.open(location, settings)))?.id == id
  }

  private static func directory(_ path: String?) -> FileIdentity? {
    path.flatMap { try? FileStatus(of: $0) }?.identity
  }
}
