import LocalFiles
import Platform
import Testing

/// Which mounts a walk stays out of, and what a path on a mount of yester itself shows.
@Suite struct MountTableTests {
  private static let table = """
    25 1 254:1 / / rw - ext4 /dev/vda1 rw
    26 25 0:5 / /proc rw - proc proc rw
    27 25 0:6 / /sys rw - sysfs sysfs rw
    28 25 0:7 / /tmp rw - tmpfs tmpfs rw
    29 25 0:52 / /mnt/back\\040ups ro - fuse.yesterfs /srv/repository ro
    30 25 0:52 /host/20261120_0930 /home/ada/restored ro - fuse.yesterfs /srv/repository ro
    31 25 0:53 / /mnt/other ro - fuse.yesterfs /srv/other ro

    """
  private let mounts = MountTable(repository: nil, mounts: MountInfo.parse(Array(table.utf8)))

  @Test func whatTheKernelMakesUpIsSkippedAndFilesAreNot() {
    #expect(mounts[5] == .virtual(type: "proc") && mounts[6] == .virtual(type: "sysfs"))
    #expect(mounts.isSkipped(5) && mounts.isSkipped(6))
    for device in [254 << 32 | 1, 7, 99] as [UInt64] { #expect(mounts[device] == nil && !mounts.isSkipped(device)) }
  }

  @Test func aMountOfAnotherRepositoryIsToldAndNotSkipped() {
    #expect(mounts[53] == .otherRepository(location: Array("/srv/other".utf8)))
    #expect(!mounts.isSkipped(53))
  }

  @Test func onlyThisMachinesTableIsReadWhenNoneIsGiven() throws {
    let mounts = MountTable(repository: nil)
    #expect(try mounts.isSkipped(FileStatus(of: "/proc").device))
    #expect(try !mounts.isSkipped(FileStatus(of: "/tmp").device))
  }

  @Test(arguments: [
    ("/mnt/back ups", true), ("/mnt/back ups/host", true), ("/mnt/back ups/20261120_0930", false),
    ("/mnt/back ups/20261120", false), ("/mnt/back ups/latest", false), ("/mnt/back ups/.yester", false),
    ("/mnt/back ups/host/20261120_0930", false), ("/mnt", false), ("/home/ada/restored", false),
    // A part of the mount that is bound elsewhere.
    ("/home/ada/restored/etc", false),
  ])
  func theTopAndHostsShowAllSnapshots(path: String, showsAll: Bool) {
    #expect(mounts.showsAll(Array(path.utf8), of: 52) == showsAll)
  }

  @Test(arguments: [
    ("/mnt/back ups/.yester", true), ("/mnt/back ups/host/.yester", true),
    ("/mnt/back ups/20261120_0930/.yester", false), ("/mnt/back ups/host/20261120_0930/.yester", false),
    ("/home/ada/restored/.yester", false), ("/mnt/back ups/host", false),
  ])
  func whatIsMadeUpIsBesideSnapshotsAndNotInThem(path: String, isBeside: Bool) {
    #expect(mounts.isBesideSnapshots(Array(path.utf8), of: 52) == isBeside)
  }

  @Test func onOtherDevicesNothingIsAMountOfYester() {
    #expect(!mounts.showsAll(Array("/mnt/back ups".utf8), of: 7))
    #expect(!mounts.isBesideSnapshots(Array("/mnt/back ups/.yester".utf8), of: 7))
  }

  @Test func withoutATableDirectoriesTellOnWhatTheyLie() throws {
    let mounts = MountTable(repository: nil, mounts: [])
    let proc = try Descriptor.open("/proc", Descriptor.directoryFlags)
    let device = try proc.status().device
    #expect(!mounts.isSkipped(device))
    mounts.meet(proc, device)
    #expect(mounts[device] == .virtual(type: "proc") && mounts.isSkipped(device))
    let files = try Descriptor.open("/", Descriptor.directoryFlags)
    mounts.meet(files, try files.status().device)
    #expect(try !mounts.isSkipped(files.status().device))
  }

  @Test func withATableNothingElseIsBelieved() throws {
    let proc = try Descriptor.open("/proc", Descriptor.directoryFlags)
    mounts.meet(proc, 7)
    #expect(!mounts.isSkipped(7))
  }
}
