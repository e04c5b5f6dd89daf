internal import CLinux
internal import Glibc

/// Facts about this machine and this process.
package enum System {
  package static func random(_ count: Int) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let got = out.withUnsafeMutableBytes { yl_random($0.baseAddress.map { $0 + done }, count - done) }
      if got > 0 { done += got }
      precondition(got > 0 || got == -Int(EINTR), "the kernel gives no random bytes")
    }
    return out
  }

  package static var hostName: String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, 255) == 0 else { return "localhost" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  package static var processID: Int32 { getpid() }
  package static var isRoot: Bool { geteuid() == 0 }
  package static var userID: UInt32 { geteuid() }
  package static var processorCount: Int { max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN))) }
  package static var peakMemoryKiB: Int { yl_peak_memory() }
  /// Nanoseconds since the machine started, its sleep included.
  package static var bootClock: Int64 { yl_clock_boottime() }

  /// Waits; a signal does not cut it short.
  package static func sleep(nanoseconds: Int64) {
    var wanted = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    var left = timespec()
    while nanosleep(&wanted, &left) != 0 && errno == EINTR { wanted = left }
  }

  /// Most values are paths: bytes, as in the command line.
  package static func environment(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    return String(path: Array(UnsafeRawBufferPointer(start: value, count: strlen(value))))
  }

  package static var userName: String { name(of: geteuid(), yl_username) ?? String(geteuid()) }
  package static func userName(_ id: UInt32) -> [UInt8] { nameBytes(of: id, yl_username) }
  package static func groupName(_ id: UInt32) -> [UInt8] { nameBytes(of: id, yl_groupname) }

  private static func nameBytes(
    of id: UInt32, _ lookUp: (UInt32, UnsafeMutablePointer<CChar>?, Int) -> Int
  ) -> [UInt8] {
    var buffer = [CChar](repeating: 0, count: 256)
    let length = lookUp(id, &buffer, 255)
    return length > 0 ? buffer.prefix(length).map { UInt8(bitPattern: $0) } : []
  }
  private static func name(
    of id: UInt32, _ lookUp: (UInt32, UnsafeMutablePointer<CChar>?, Int) -> Int
  ) -> String? {
    let bytes = nameBytes(of: id, lookUp)
    return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
  }

  /// Identifies the machine, its running kernel and the namespace of process numbers, separated by spaces. Process
  /// numbers mean something to each other only where all three are the same.
  package static var bootID: String {
    let machine = firstLine("/etc/machine-id")
    let namespace = (try? FileSystem.readLink(Array("/proc/self/ns/pid".utf8), at: nil)) ?? []
    let boot = firstLine("/proc/sys/kernel/random/boot_id")
    return "\(machine.isEmpty ? "-" : machine) \(boot) \(String(decoding: namespace, as: UTF8.self))"
  }

  /// When a process started, in clock ticks since boot; nil when there is no such process, or when it is not to be seen.
  package static func startTime(ofProcess id: Int32) -> UInt64? {
    guard let fields = statusFields(ofProcess: id), !isEnded(fields), fields.count > 19 else { return nil }
    return UInt64(fields[19])
  }

  /// Whether the process that started at `start` is known not to run any more. /proc may be missing, and may hide the
  /// processes of other users (`hidepid` in proc(5)): what cannot be known runs. `start` is 0 when it was not known.
  package static func isGone(process id: Int32, startedAt start: UInt64) -> Bool {
    // No process has such a number; to kill(2) they are groups of processes.
    if id <= 0 { return true }
    if kill(id, 0) != 0 && errno == ESRCH { return true }
    guard let fields = statusFields(ofProcess: id), fields.count > 19 else { return false }
    return isEnded(fields) || (start != 0 && UInt64(fields[19]) != start)
  }

  /// Of /proc/ID/stat the fields behind the name in parentheses: state is the first, the start time the twentieth.
  private static func statusFields(ofProcess id: Int32) -> [String]? {
    guard let file = try? Descriptor.open("/proc/\(id)/stat"), let bytes = try? file.readAll(limit: 4096),
      let end = bytes.lastIndex(of: UInt8(ascii: ")"))
    else { return nil }
    return bytes[(end + 1)...].split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
  }

  /// One that ended, and that its parent has not asked after yet, is no process any more.
  private static func isEnded(_ fields: [String]) -> Bool { ["Z", "X"].contains(fields.first) }

  private static func firstLine(_ path: String) -> String {
    guard let file = try? Descriptor.open(path), let bytes = try? file.readAll(limit: 4096) else { return "" }
    return String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self)
  }

  /// The running program's own path.
  package static var executablePath: String? {
    if let link = try? FileSystem.readLink(Array("/proc/self/exe".utf8), at: nil) { return String(path: link) }
    // Without /proc: as it was started.
    guard let started = yl_executed_path() else { return nil }
    return realPath(String(path: Array(UnsafeRawBufferPointer(start: started, count: strlen(started)))))
  }

  /// An absolute path without `.`, `..`, doubled slashes or symbolic links; nil when something on it is missing.
  package static func realPath(_ path: String) -> String? {
    (try? resolve(path.pathBytes)).map { String(path: $0) }
  }

  /// The same of bytes; throws what keeps it from being resolved.
  package static func resolve(_ path: [UInt8]) throws(Errno) -> [UInt8] {
    guard let resolved = path.withCPath({ realpath($0, nil) }) else { throw .current }
    defer { free(resolved) }
    return Array(UnsafeRawBufferPointer(start: resolved, count: strlen(resolved)))
  }

  /// Where yester keeps what it can make anew: `YESTER_CACHE_DIR`, or the user's cache directory.
  package static var cacheDirectory: String {
    if let own = environment("YESTER_CACHE_DIR"), !own.isEmpty { return own }
    if let base = environment("XDG_CACHE_HOME"), base.hasPrefix("/") { return base + "/yester" }
    if isRoot && environment("HOME") == nil { return "/var/cache/yester" }
    return (environment("HOME") ?? "/tmp/yester-\(geteuid())") + "/.cache/yester"
  }

  /// Where yester keeps what it cannot make anew: `YESTER_STATE_DIR`, or the user's directory for such. Root has one
  /// place, whether or not there is a home in the environment: what a shell has seen, the timer's run must know.
  package static var stateDirectory: String {
    if let own = environment("YESTER_STATE_DIR"), !own.isEmpty { return own }
    if let base = environment("XDG_STATE_HOME"), base.hasPrefix("/") { return base + "/yester" }
    if isRoot { return "/var/lib/yester" }
    return (environment("HOME") ?? "/tmp/yester-\(geteuid())") + "/.local/state/yester"
  }
}
