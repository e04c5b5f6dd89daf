internal import ChunkCodec
package import Platform
package import Reporting
package import RepositoryOpening

/// How the driver `yesterfs` is started.
package struct DriverLauncher {
  private let access: RepositoryAccess
  /// Further options, as for mount(8), each already escaped.
  package var options: [String] = []
  package var isForeground = false

  /// A command line, and the descriptors that go with it.
  package struct Command {
    /// The first is the program: its path, or its name where it is to be looked for.
    package fileprivate(set) var arguments: [String]
    package fileprivate(set) var inherited: [Descriptor] = []

    /// Why it could not be started.
    package func notStarted(_ error: Errno) -> YesterError {
      let driver = arguments[0]
      let looked =
        driver.contains("/")
        ? "" : "It was looked for \(DriverLauncher.folder.map { "in \($0) and " } ?? "")on the PATH. "
      return YesterError(
        .failed, "The driver \(driver) could not be started: \(error)",
        advice: looked + "Install the program yesterfs in the same directory as yester.", cause: error)
    }
  }

  package init(_ access: RepositoryAccess) { self.access = access }

  /// A password goes through a pipe, which the driver inherits: it has no terminal any more when it needs it, and
  /// arguments can be read by everybody.
  package func command(mountPoint: String) throws -> Command {
    var command = Command(arguments: [Self.path, try access.location(), mountPoint])
    var options = options
    if let keyFile = access.keyFile {
      options.append("key_file=\(MountOptionList.escaped(keyFile))")
    } else if let file = access.passwordFile {
      options.append("password_file=\(MountOptionList.escaped(file))")
    } else if let pipe = try passwordPipe() {
      options.append("password_fd=\(pipe.raw)")
      command.inherited = [pipe]
    }
    if isForeground { command.arguments.append("-f") }
    if !options.isEmpty { command.arguments += ["-o", options.joined(separator: ",")] }
    return command
  }

  private func passwordPipe() throws -> Descriptor? {
    let hasKeyFile = System.environment("YESTER_KEY_FILE").map { !$0.isEmpty } ?? false
    if access.passwordCommand == nil && hasKeyFile { return nil }
    let secret = try access.secret()
    guard case .password(let password) = secret else { return nil }
    let line = password + [0x0A]
    // A pipe holds that much without anybody at its other end.
    guard line.count <= 4096 else { throw YesterError(.failed, "The password could not be handed to the driver") }
    do throws(Errno) {
      let (reading, writing) = try Descriptor.pipe()
      try writing.write(line)
      return reading
    } catch {
      throw YesterError(.failed, "The password could not be handed to the driver: \(error)", cause: error)
    }
  }

  /// Where this program lies.
  fileprivate static var folder: String? {
    guard let own = System.executablePath, let slash = own.lastIndex(of: "/") else { return nil }
    return slash == own.startIndex ? "/" : String(own[..<slash])
  }

  /// The driver lies beside this program, or on the path.
  private static var path: String {
    if let folder, (try? FileStatus(of: folder + "/yesterfs")) != nil { return folder + "/yesterfs" }
    return "yesterfs"
  }

  /// Mounts, runs `body` with the mount point, and unmounts.
  package func whileMounted<Value>(_ body: (_ mountPoint: String) throws -> Value) throws -> Value {
    let mountPoint = "/tmp/yester-verify-" + Hex.encode(System.random(8))
    do {
      try Directory.makeAll(mountPoint)
    } catch {
      throw YesterError.system("Making the directory", mountPoint, error)
    }
    defer { try? FileSystem.removeDirectory(mountPoint.pathBytes, at: nil) }
    let command = try command(mountPoint: mountPoint)
    let ending: ChildProcess.Ending
    do throws(Errno) {
      ending = try ChildProcess.run(command.arguments, inheriting: command.inherited)
    } catch {
      throw command.notStarted(error)
    }
    guard ending.isSuccess else {
      throw YesterError(.failed, "The snapshot could not be mounted for verification (the driver says why above)")
    }
    defer { try? Unmount.detach(mountPoint) }
    return try body(mountPoint)
  }
}
