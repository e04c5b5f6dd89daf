internal import FuseMount
internal import Glibc
internal import Platform
internal import Testing

/// A real mount of a model in a directory of its own. `takeDown` belongs in a `defer`.
///
/// A broken driver leaves system calls hanging, which no time limit of the test library can end; so a watchdog takes
/// the mount away by force after 45 s, and what hangs fails.
final class MountFixture {
  let path: String
  let model: MemoryModel
  let mount: Mount
  private let temporary: String
  private let ending = Monitor<Mount.Ending?>(nil)
  private let isOver = Monitor(false)

  init(_ model: MemoryModel, _ change: (inout DriverOptions) -> Void = { _ in }) throws {
    try #require(access("/dev/fuse", R_OK | W_OK) == 0, "these tests need /dev/fuse")
    var template = Array("/tmp/yester-fuse-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    temporary = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    path = temporary + "/mnt"
    mkdir(path, 0o755)
    mkdir(temporary + "/repository", 0o755)
    self.model = model
    var options = DriverOptions(source: temporary + "/repository", mountPoint: path)
    change(&options)
    do {
      mount = try Mount(model, options)
    } catch {
      rmdir(path)
      rmdir(temporary + "/repository")
      rmdir(temporary)
      throw error
    }
    try mount.start()
    let (mount, ending, isOver, path) = (mount, ending, isOver, path)
    _ = try Worker("test-mount") {
      let result = mount.waitForEnd()
      ending.update { $0 = result }
    }
    _ = try Worker("test-watchdog") {
      guard isOver.wait(milliseconds: 45_000, { $0 ? true : nil }) == nil else { return }
      umount2(path, CInt(MNT_FORCE) | CInt(MNT_DETACH))
      mount.requestStop()
    }
  }

  /// Ends the mount and waits for it; nil when it has not ended after five seconds.
  func stop() -> Mount.Ending? {
    mount.requestStop()
    return ending.wait(milliseconds: 5000) { $0 }
  }

  func takeDown() {
    let result = stop()
    if result != .clean { umount2(path, CInt(MNT_FORCE) | CInt(MNT_DETACH)) }
    isOver.update { $0 = true }
    rmdir(path)
    rmdir(temporary + "/repository")
    rmdir(temporary)
  }

  func names(_ directory: String = "") throws -> [String] {
    try Directory.names(try Descriptor.open("\(path)/\(directory)", Descriptor.directoryFlags))
      .map { String(decoding: $0, as: UTF8.self) }
  }

  func content(_ file: String) throws -> [UInt8] {
    try Descriptor.open("\(path)/\(file)").readAll(limit: 1 << 30)
  }

  func exists(_ name: String) -> Bool { access("\(path)/\(name)", F_OK) == 0 }

  /// Asks until the answer is yes, for at most two seconds.
  func within2Seconds(_ condition: () throws -> Bool) rethrows -> Bool {
    let began = System.bootClock
    while System.bootClock - began < 2_000_000_000 {
      if try condition() { return true }
      usleep(20_000)
    }
    return false
  }
}
