internal import CFuse
internal import Glibc
internal import Platform
package import Reporting
package import SnapshotTree

/// A mounted file system, from the mounting to the end.
package final class Mount: Sendable {
  package enum Ending: Sendable {
    /// Every request was answered.
    case clean
    /// A request hung for longer than the grace. Its thread is still inside the model, so nothing may be freed: the
    /// process has to end, by `_exit`.
    case stuck
  }

  /// Time for requests under way, when the mount ends.
  private static let graceMilliseconds = 1000
  private static let readAheadKiB = 2048

  /// The mount point, absolute.
  package let path: String
  private let adapter: Adapter
  private let counts: RequestCounts
  private let notifier: Notifier
  private let session: SessionHandle
  private let pool: WorkerPool
  private let exitEvent: Descriptor
  private let options: DriverOptions
  /// Tells whether what is mounted at `path` is still this; nil where /proc is not to be had.
  private let device: UInt64?
  /// The same for then.
  private let number: UInt64?

  /// Says early, before a password is asked for, why mounting could not work.
  package static func check(_ options: DriverOptions) throws(YesterError) {
    if options.allowsOthers == true { try MountPoint.requireAllowOther() }
    _ = try MountPoint.prepare(
      options.mountPoint,
      repository: options.sourceDirectory,
      allowingContent: options.allowsContent
    )
  }

  /// Mounts. From here on whoever looks into the mount waits until `serve` is called.
  /// Requests are counted in `counts`, whose kinds are those of `RequestKind`.
  package init(
    _ model: any FileSystemModel,
    _ options: DriverOptions,
    counts: RequestCounts = RequestCounts(names: RequestKind.names)
  ) throws(YesterError) {
    DriverLog.captureFuse()
    if options.allowsOthers == true { try MountPoint.requireAllowOther() }
    let path = try MountPoint.prepare(
      options.mountPoint,
      repository: options.sourceDirectory,
      allowingContent: options.allowsContent
    )
    self.path = path
    self.counts = counts
    self.options = options
    notifier = Notifier()
    adapter = Adapter(model: model, notifier, options)
    exitEvent = Descriptor(owning: yf_eventfd())
    let session = try Self.makeSession(adapter, Self.fuseOptions(options))
    self.session = session
    guard path.pathBytes.withCPath({ fuse_session_mount(session.raw, $0) }) == 0 else {
      let why = DriverLog.takeLastFuseLine()
      fuse_session_destroy(session.raw)
      throw Self.mountingFailed(on: path, why)
    }
    let descriptor = fuse_session_fd(session.raw)
    device = MountInfo.at(path.pathBytes)?.device
    number = Self.mountNumber(path)
    pool = WorkerPool(
      session: session,
      device: descriptor,
      exitEvent: exitEvent.raw,
      threads: options.threads ?? min(4, max(2, System.processorCount)),
      counts: counts
    )
    let result = yf_set_nonblocking(descriptor)
    guard result == 0 else {
      MountPoint.detach(path, force: false)
      fuse_session_destroy(session.raw)
      let error = Errno(rawValue: -result)
      throw YesterError(.failed, "the FUSE device cannot be used: \(error)", cause: error)
    }
  }

  /// Begins to answer requests, on threads of its own. When it returns, the mount has answered its first. Throws when
  /// there is no room for the threads: then nobody may have answered yet, and `requestStop` and `waitForEnd` take the
  /// mount away as ever.
  package func start() throws(YesterError) {
    DriverLog.beginToLogFuse()
    do throws(Errno) {
      try notifier.start(session)
      try pool.start()
    } catch {
      throw YesterError.noThread(error)
    }
    // Waits until kernel and driver have agreed on the terms, among them the read-ahead that is raised below.
    var totals = statvfs()
    _ = path.pathBytes.withCPath { statvfs($0, &totals) }
    raiseReadAhead()
    ReadOnlyGuard.start(
      path, device: device, options, changeAttempted: adapter.changeAttempted, exitEvent: exitEvent)
  }

  /// Returns when the mount has been taken away: by umount, or here after `requestStop`. Up to a second is left to
  /// requests under way; files that are still open fail from then on.
  package func waitForEnd() -> Ending {
    var event = pollfd(fd: exitEvent.raw, events: Int16(POLLIN), revents: 0)
    while poll(&event, 1, -1) < 0 && errno == EINTR {}
    pool.end()
    let isQuiet = pool.join(milliseconds: Self.graceMilliseconds)
    // Somebody may have mounted something else here since our mount was taken away.
    let isOurs = device == nil ? Self.mountNumber(path) == number : MountInfo.at(path.pathBytes)?.device == device
    if isOurs { MountPoint.detach(path, force: !isQuiet) }
    guard isQuiet, adapter.refresher.stop(milliseconds: Self.graceMilliseconds),
      notifier.stop(milliseconds: Self.graceMilliseconds)
    else { return .stuck }
    // Closes the device, with which the kernel gives up what is left of the mount.
    fuse_session_destroy(session.raw)
    Unmanaged.passUnretained(adapter).release()
    return .clean
  }

  /// Asks the mount to end. May be called from anywhere, and by a signal handler through `exitDescriptor`.
  package func requestStop() {
    var one: UInt64 = 1
    _ = Glibc.write(exitEvent.raw, &one, 8)
  }

  /// Eight bytes written here end the mount.
  package var exitDescriptor: Int32 { exitEvent.raw }

  /// Requests received so far.
  package var requests: UInt64 { counts.total }

  /// Nobody is asked: this process would be the one to answer.
  private static func mountNumber(_ path: String) -> UInt64? {
    (try? FileStatus(of: path.pathBytes, .asKnown))?.mount
  }

  // MARK: Mounting

  private static func makeSession(_ adapter: Adapter, _ options: String) throws(YesterError) -> SessionHandle {
    var operations = Operations.table()
    // Released when the session has been destroyed; until then a callback may come.
    let userData = Unmanaged.passRetained(adapter).toOpaque()
    let raw = options.pathBytes.withCPath { list in
      let program: StaticString = "yesterfs"
      let flag: StaticString = "-o"
      return program.withCStringPointer { program in
        flag.withCStringPointer { flag in yf_session_new(3, [program, flag, list], &operations, userData) }
      }
    }
    guard let raw else { throw YesterError(.failed, "libfuse refused to begin: \(DriverLog.takeLastFuseLine())") }
    return SessionHandle(raw: raw)
  }

  private static func mountingFailed(on path: String, _ why: String) -> YesterError {
    if access("/dev/fuse", F_OK) != 0 {
      return YesterError(
        .failed, "mounting on \(path) failed: there is no /dev/fuse", advice: "Load the module with: modprobe fuse")
    }
    if access("/dev/fuse", R_OK | W_OK) != 0 {
      return YesterError(
        .failed, "mounting on \(path) failed: you may not use /dev/fuse; it should have the mode 0666")
    }
    // fusermount3 has told its reason on stderr itself.
    return YesterError(.failed, "mounting on \(path) failed\(why.isEmpty ? "" : ": \(why)")")
  }

  private static func fuseOptions(_ options: DriverOptions) -> String {
    var list = [
      "ro", "default_permissions", "subtype=yesterfs", "max_read=\(Adapter.maximumRead)",
      "fsname=\(MountOptionList.escaped(options.source))",
      options.honoursSetUID ? "suid" : "nosuid", options.honoursDevices ? "dev" : "nodev",
    ]
    if options.forbidsExecution { list.append("noexec") }
    if options.allowsOthers ?? System.isRoot { list.append("allow_other") }
    return list.joined(separator: ",")
  }

  /// The kernel reads ahead 128 KiB, which one request answers: one processor decodes while the others wait. Only
  /// root may change it; it is no loss of function otherwise.
  private func raiseReadAhead() {
    guard System.isRoot, let device,
      let file = try? Descriptor.open("/sys/class/bdi/\(device >> 32):\(device & 0xFFFF_FFFF)/read_ahead_kb", O_WRONLY)
    else { return }
    try? file.write(Array("\(Self.readAheadKiB)\n".utf8))
  }
}

extension StaticString {
  fileprivate func withCStringPointer<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
    UnsafeRawPointer(utf8Start).withMemoryRebound(to: CChar.self, capacity: utf8CodeUnitCount + 1, body)
  }
}
