internal import ChunkCodec
internal import Platform
internal import Reporting
internal import RepositoryOpening
internal import Workflows

/// How this program starts the driver `yesterfs`.
struct DriverLauncher {
  let access: RepositoryAccess
  /// Further options, as for mount(8), each already escaped.
  var options: [String] = []
  var isForeground = false

  /// The driver's words, and the descriptors that it inherits.
  private struct Command {
    var arguments: [String]
    var inherited: [Descriptor] = []
  }

  /// A password goes through a pipe, which the driver inherits: it has no terminal any more when it needs it, and
  /// arguments can be read by everybody.
  private func command(mountPoint: String) throws -> Command {
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
  private static var folder: String? {
    guard let own = System.executablePath, let slash = own.lastIndex(of: "/") else { return nil }
    return slash == own.startIndex ? "/" : String(own[..<slash])
  }

  /// The driver lies beside this program, or on the path.
  private static var path: String {
    if let folder, (try? FileStatus(of: folder + "/yesterfs")) != nil { return folder + "/yesterfs" }
    return "yesterfs"
  }

  private static func notStarted(_ driver: String, _ error: Errno) -> YesterError {
    let looked = driver.contains("/") ? "" : "It was looked for \(folder.map { "in \($0) and " } ?? "")on the PATH. "
    return YesterError(
      .failed, "The driver \(driver) could not be started: \(error)",
      advice: looked + "Install the program yesterfs in the same directory as yester.", cause: error)
  }

  /// Becomes the driver.
  func execute(mountPoint: String) throws -> Never {
    let command = try command(mountPoint: mountPoint)
    let error = ChildProcess.become(command.arguments, inheriting: command.inherited)
    throw Self.notStarted(command.arguments[0], error)
  }

  /// Mounts, runs `body` with the mount point, and unmounts.
  func whileMounted<Value>(_ body: (_ mountPoint: String) throws -> Value) throws -> Value {
    let mountPoint = "/tmp/yester-verify-" + Hex.encode(System.random(8))
    do { try Directory.makeAll(mountPoint) } catch {
      throw YesterError.system("Making the directory", mountPoint, error)
    }
    defer { try? FileSystem.removeDirectory(mountPoint.pathBytes, at: nil) }
    let command = try command(mountPoint: mountPoint)
    let ending: ChildProcess.Ending
    do throws(Errno) {
      ending = try ChildProcess.run(command.arguments, inheriting: command.inherited)
    } catch {
      throw Self.notStarted(command.arguments[0], error)
    }
    guard ending.isSuccess else {
      throw YesterError(.failed, "The snapshot could not be mounted for verification (the driver says why above)")
    }
    defer { try? Unmount.detach(mountPoint) }
    return try body(mountPoint)
  }
}
