internal import ArgumentParser
internal import Glibc
internal import Platform
internal import Reporting
internal import Workflows

struct MountCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mount", abstract: "Show all snapshots as directories.",
    discussion: """
      Runs the driver yesterfs, which goes on in the background until "yester unmount" (or umount) ends it. The mount \
      point is an empty directory. Root's mounts are open to all users, with the permissions that files have in the \
      snapshots; an ordinary user's mounts are his alone. A snapshot that is all of its day is listed as the day only, \
      though its own name leads to it as well; "-o names=all" lists it, too.
      """)

  @Argument(help: ArgumentHelp("An empty directory.", valueName: "mount point"), completion: .directory)
  var mountPoint: String
  @OptionGroup var access: AccessOptions
  @Flag(name: [.long, .customShort("f")], help: "Stay in the foreground and log to stderr.") var foreground = false
  @Option(help: "Whose snapshots to show (default: this host's).") var host: String?
  @Flag(help: "Show the snapshots of all hosts, a directory each.") var allHosts = false
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Memory for opened blocks, such as 256M; without a unit in MiB (default: 64 MiB).", valueName: "size"),
    transform: { try ByteSize.parse($0, unit: 1 << 20, in: 1 << 20...1 << 40) })
  var cacheSize: UInt64?
  @Option(
    name: [.customShort("o"), .customLong("option")],
    help: ArgumentHelp("Further options of the driver, as for mount(8).", valueName: "options"))
  var options: [String] = []

  func validate() throws {
    guard !mountPoint.isEmpty else { throw ValidationError("The mount point is empty.") }
  }

  func run() throws {
    var launcher = DriverLauncher(access.access)
    launcher.options = options
    launcher.isForeground = foreground
    if let host { launcher.options.append("host=\(MountOptionList.escaped(host))") }
    if allHosts { launcher.options.append("all-hosts") }
    if let cacheSize { launcher.options.append("cache_size=\(cacheSize)B") }
    try become(launcher.command(mountPoint: mountPoint))
  }

  /// Replaces this program by the driver.
  private func become(_ command: DriverLauncher.Command) throws -> Never {
    let error = ChildProcess.become(command.arguments, inheriting: command.inherited)
    throw command.notStarted(error)
  }
}

struct UnmountCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unmount", abstract: "End a mount.",
    discussion: "Programs that still have files open there keep them until they close them.")

  @Argument(help: ArgumentHelp("The mount point.", valueName: "mount point"), completion: .directory)
  var mountPoint: String

  func validate() throws {
    guard !mountPoint.isEmpty else { throw ValidationError("The mount point is empty.") }
  }

  func run() throws {
    try Unmount.run(mountPoint)
  }
}
