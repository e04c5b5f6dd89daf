internal import ChunkCodec
internal import Glibc
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

  /// The command line. A password goes through a pipe, whose descriptor the driver inherits: it has no terminal any
  /// more when it needs it, and arguments can be read by everybody.
  func arguments(mountPoint: String) throws -> [String] {
    var options = options
    if let keyFile = access.keyFile {
      options.append("key_file=\(MountOptionList.escaped(keyFile))")
    } else if let file = access.passwordFile {
      options.append("password_file=\(MountOptionList.escaped(file))")
    } else if let descriptor = try passwordPipe() {
      options.append("password_fd=\(descriptor)")
    }
    var arguments = [Self.path, try access.location(), mountPoint]
    if isForeground { arguments.append("-f") }
    if !options.isEmpty { arguments += ["-o", options.joined(separator: ",")] }
    return arguments
  }

  private func passwordPipe() throws -> CInt? {
    let hasKeyFile = System.environment("YESTER_KEY_FILE").map { !$0.isEmpty } ?? false
    if access.passwordCommand == nil && hasKeyFile { return nil }
    let secret = try access.secret()
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
  private static var path: String {
    if let own = System.executablePath, let slash = own.lastIndex(of: "/") {
      let beside = String(own[..<slash] + "/yesterfs")
      if (try? FileStatus(of: beside)) != nil { return beside }
    }
    return "yesterfs"
  }

  /// Becomes the driver.
  func execute(mountPoint: String) throws -> Never {
    let arguments = try arguments(mountPoint: mountPoint)
    var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { $0.pathBytes.withCPath { strdup($0) } }
    pointers.append(nil)
    execvp(arguments[0], &pointers)
    throw YesterError(
      .failed, "The driver \(arguments[0]) could not be started: \(Errno.current)",
      advice: "It belongs in the same directory as yester.")
  }

  /// Mounts, runs `body` with the mount point, and unmounts.
  func whileMounted<Value>(_ body: (_ mountPoint: String) throws -> Value) throws -> Value {
    let mountPoint = "/tmp/yester-verify-" + Hex.encode(System.random(8))
    do { try Directory.makeAll(mountPoint) } catch {
      throw YesterError.system("Making the directory", mountPoint, error)
    }
    defer { try? FileSystem.removeDirectory(mountPoint.pathBytes, at: nil) }
    guard try Unmount.spawn(arguments(mountPoint: mountPoint)) == 0 else {
      throw YesterError(.failed, "The snapshot could not be mounted for verification (the driver says why above)")
    }
    defer { try? Unmount.detach(mountPoint) }
    return try body(mountPoint)
  }
}
