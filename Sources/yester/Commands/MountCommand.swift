internal import ArgumentParser
internal import BackupEngine
internal import ChunkCodec
internal import Glibc
internal import Platform
internal import RepositoryStore

struct MountCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mount", abstract: "Show all snapshots as directories.",
    discussion: """
      Runs the driver yesterfs, which goes on in the background until "yester unmount" (or umount) ends it. The mount \
      point is an empty directory. Root's mounts are open to all users, with the permissions that files have in the \
      snapshots; an ordinary user's mounts are his alone.
      """)

  @Argument(help: ArgumentHelp("An empty directory.", valueName: "mount point"), completion: .directory)
  var mountPoint: String
  @OptionGroup var access: AccessOptions
  @Flag(name: [.long, .customShort("f")], help: "Stay in the foreground and log to stderr.") var foreground = false
  @Option(help: "Whose snapshots to show (default: this host's).") var host: String?
  @Flag(help: "Show the snapshots of all hosts, a directory each.") var allHosts = false
  @Option(help: ArgumentHelp("Memory for opened blocks in MiB (default 64).", valueName: "MiB")) var cacheSize: Int?
  @Option(
    name: [.customShort("o"), .customLong("option")],
    help: ArgumentHelp("Further options of the driver, as for mount(8).", valueName: "options"))
  var options: [String] = []

  func run() throws {
    let source = try access.access.location()
    var driver = options
    var descriptor: CInt?
    if let keyFile = access.keyFile {
      driver.append("key_file=\(Self.value(keyFile))")
    } else if let file = access.passwordFile {
      driver.append("password_file=\(Self.value(file))")
    } else {
      descriptor = try passPassword()
      if let descriptor { driver.append("password_fd=\(descriptor)") }
    }
    if let host { driver.append("host=\(Self.value(host))") }
    if allHosts { driver.append("all-hosts") }
    if let cacheSize { driver.append("cache_size=\(cacheSize)") }
    var arguments = [Self.driverPath, source, mountPoint]
    if foreground { arguments.append("-f") }
    if !driver.isEmpty { arguments += ["-o", driver.joined(separator: ",")] }
    try Self.execute(arguments)
  }

  /// The driver's options are separated by commas; a backslash takes away a comma's meaning.
  private static func value(_ text: String) -> String {
    text.flatMap { $0 == "," || $0 == "\\" ? ["\\", $0] : [$0] }.map(String.init).joined()
  }

  /// A password that is asked for, or that a command prints, reaches the driver through a pipe: the driver has no
  /// terminal any more when it needs it, and arguments can be read by everybody.
  private func passPassword() throws -> CInt? {
    let hasKeyFile = System.environment("YESTER_KEY_FILE").map { !$0.isEmpty } ?? false
    if access.passwordCommand == nil && hasKeyFile { return nil }
    let secret = try access.access.secret()
    guard case .password(let password) = secret else { return nil }
    var ends: [CInt] = [0, 0]
    guard pipe(&ends) == 0 else { throw YesterError(.failed, "No pipe could be made", cause: .current) }
    let line = password + [0x0A]
    guard line.count <= 4096, Glibc.write(ends[1], line, line.count) == line.count else {
      throw YesterError(.failed, "The password could not be handed to the driver")
    }
    Glibc.close(ends[1])
    return ends[0]
  }

  /// The driver lies beside this program, or on the path.
  private static var driverPath: String {
    if let own = System.executablePath, let slash = own.lastIndex(of: "/") {
      let beside = own[..<slash] + "/yesterfs"
      if (try? FileStatus(of: String(beside))) != nil { return String(beside) }
    }
    return "yesterfs"
  }

  private static func execute(_ arguments: [String]) throws -> Never {
    var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
    pointers.append(nil)
    execvp(arguments[0], &pointers)
    throw YesterError(
      .failed, "The driver \(arguments[0]) could not be started: \(Errno.current)",
      advice: "It belongs in the same directory as yester.")
  }
}

struct UnmountCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unmount", abstract: "End a mount.",
    discussion: "Programs that still have files open there keep them until they close them.")

  @Argument(help: ArgumentHelp("The mount point.", valueName: "mount point"), completion: .directory)
  var mountPoint: String

  func run() throws {
    try Unmount.run(mountPoint)
  }
}
