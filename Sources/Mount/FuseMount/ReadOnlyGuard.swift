internal import CFuse
internal import Glibc
internal import Platform

/// Makes the mount read-only again when somebody has remounted it for writing.
///
/// The driver refuses every change, but it is not asked about opening (which would cost a request for each file), and a
/// program that maps a file for writing changes what the kernel remembers of it, for all others too, before the driver
/// can say no. One thread sleeps until the table of mounts changes, or until the driver had to refuse a change: of a
/// remount in another mount namespace the table does not tell. Only root can remount, so only root's driver can undo it.
enum ReadOnlyGuard {
  static func start(
    _ path: String, device: UInt64?, _ options: DriverOptions, changeAttempted: Descriptor, exitEvent: Descriptor
  ) {
    guard System.isRoot, let table = try? Descriptor.open(MountInfo.table) else { return }
    _ = Worker(ifThereIsRoom: "yfs-guard") {
      var lastResult: CInt = 0
      while waitForChange(
        table, changeAttempted, exitEvent, milliseconds: lastResult == 0 ? -1 : retryMilliseconds)
      {
        let present = MountInfo.at(path.pathBytes)
        guard let present, present.device == device, !present.isReadOnly else {
          lastResult = 0
          continue
        }
        let result = remount(path, options)
        if result != lastResult || result == 0 { tell(result, path) }
        lastResult = result
      }
    }
  }

  /// While somebody has a file open for writing the mount stays as it is (EBUSY): it is tried again.
  private static let retryMilliseconds: CInt = 200

  /// False when the mount ends.
  private static func waitForChange(
    _ table: Descriptor, _ changeAttempted: Descriptor, _ exitEvent: Descriptor, milliseconds: CInt
  ) -> Bool {
    var events = [
      pollfd(fd: table.raw, events: Int16(POLLPRI), revents: 0),
      pollfd(fd: exitEvent.raw, events: Int16(POLLIN), revents: 0),
      pollfd(fd: changeAttempted.raw, events: Int16(POLLIN), revents: 0),
    ]
    while poll(&events, nfds_t(events.count), milliseconds) < 0 { guard errno == EINTR else { return false } }
    var attempts: UInt64 = 0
    if events[2].revents != 0 { _ = Glibc.read(changeAttempted.raw, &attempts, 8) }
    return events[1].revents == 0
  }

  private static func remount(_ path: String, _ options: DriverOptions) -> CInt {
    yf_remount_read_only(
      path, options.honoursSetUID ? 0 : 1, options.honoursDevices ? 0 : 1, options.forbidsExecution ? 1 : 0)
  }

  private static func tell(_ result: CInt, _ path: String) {
    if result == 0 {
      DriverLog.write(.warning, "\(path) was remounted for writing and is read-only again: snapshots never change")
    } else {
      DriverLog.write(
        .error,
        "\(path) was remounted for writing and cannot be made read-only yet: \(Errno(rawValue: -result))")
    }
  }
}
