internal import Platform
package import Reporting

/// Reads the command line: `yesterfs REPOSITORY MOUNTPOINT [-o OPTION[,OPTION...]]... [-f]`.
package enum CommandLineRequest: Sendable, Equatable {
  case mount(DriverOptions)
  case help
  case version
}

package enum OptionParser {
  /// An option with a value, as it is written before the equals sign.
  private static let withValue: Set<String> = [
    "cache_size", "gid", "host", "key_file", "names", "password_command", "password_fd", "password_file", "threads",
    "uid", "umask",
  ]
  private static let withoutValue: Set<String> = [
    "all-hosts", "allow_dev", "allow_other", "allow_suid", "foreground", "no_allow_other", "noexec", "nonempty",
  ]
  /// What mount(8), fstab and mount.fuse3 pass along and what is true anyway or means nothing here. `suid` and `dev`
  /// are among them because mount.fuse3 adds them without having been asked.
  private static let ignored: Set<String> = [
    "_netdev", "async", "atime", "auto", "default_permissions", "defaults", "dev", "diratime", "dirsync", "exec",
    "group", "lazytime", "noatime", "noauto", "nodev", "nodiratime", "nofail", "nolazytime", "norelatime",
    "nostrictatime", "nosuid", "nouser", "owner", "relatime", "ro", "rw", "strictatime", "suid", "sync", "user",
    "users",
  ]
  private static let ignoredPrefixes = ["comment=", "x-", "X-", "user=", "fsname=", "subtype="]

  /// `arguments` without the program's name.
  package static func parse(_ arguments: [String]) throws(YesterError) -> CommandLineRequest {
    var operands: [String] = []
    var lists: [String] = []
    var options = DriverOptions(source: "", mountPoint: "")
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      switch argument {
      case "-h", "--help": return .help
      case "-V", "--version": return .version
      case "-f", "--foreground": options.isForeground = true
      case "-o":
        guard let list = rest.popFirst() else { throw usage("-o needs a list of options behind it") }
        lists.append(list)
      case "--":
        operands.append(contentsOf: rest)
        rest = []
      case _ where argument.hasPrefix("-o"): lists.append(String(argument.dropFirst(2)))
      // mount(8) passes these to helpers: no mtab entry, verbose, sloppy.
      case "-n", "-v", "-s": continue
      case _ where argument.hasPrefix("-") && argument != "-": throw usage("\(argument) is not an option")
      default: operands.append(argument)
      }
    }
    guard operands.count == 2, !operands[0].isEmpty, !operands[1].isEmpty else {
      throw usage("needed are a repository and a mount point, in this order")
    }
    options.source = operands[0]
    options.mountPoint = operands[1]
    for list in lists { for option in MountOptionList.split(list) { try apply(option, &options) } }
    if options.host != nil && options.showsAllHosts { throw usage("host= and all-hosts exclude each other") }
    return .mount(options)
  }

  private static func apply(_ option: String, _ options: inout DriverOptions) throws(YesterError) {
    if ignored.contains(option) || ignoredPrefixes.contains(where: { option.hasPrefix($0) }) { return }
    if option == "remount" { throw usage("a mount cannot be changed: end it with umount, and mount again") }
    guard let equals = option.firstIndex(of: "=") else {
      guard withoutValue.contains(option) else { throw unknown(option) }
      set(option, &options)
      return
    }
    let name = String(option[..<equals])
    let value = String(option[option.index(after: equals)...])
    guard withValue.contains(name) else { throw unknown(name) }
    guard !value.isEmpty else { throw usage("\(name)= needs a value") }
    try set(name, value, &options)
  }

  private static func set(_ name: String, _ options: inout DriverOptions) {
    switch name {
    case "all-hosts": options.showsAllHosts = true
    case "allow_dev": options.honoursDevices = true
    case "allow_other": options.allowsOthers = true
    case "allow_suid": options.honoursSetUID = true
    case "foreground": options.isForeground = true
    case "no_allow_other": options.allowsOthers = false
    case "noexec": options.forbidsExecution = true
    case "nonempty": options.allowsContent = true
    default: preconditionFailure("\(name) is in the list of options and not here")
    }
  }

  private static func set(_ name: String, _ value: String, _ options: inout DriverOptions) throws(YesterError) {
    switch name {
    case "cache_size": options.cacheSize = try size(name, value)
    case "gid": options.group = UInt32(try number(name, value, 0...Int(UInt32.max) - 1))
    case "host":
      guard value.utf8.count <= 255 else { throw usage("host= is longer than 255 bytes") }
      options.host = value
    case "names":
      guard value == "all" || value == "once" else { throw usage("names=\(value) is neither all nor once") }
      options.listsAllNames = value == "all"
    case "key_file": try setSecret(.keyFile(value), &options)
    case "password_command": try setSecret(.passwordCommand(value), &options)
    case "password_fd":
      try setSecret(.passwordDescriptor(Int32(try number(name, value, 0...1_048_575))), &options)
    case "password_file": try setSecret(.passwordFile(value), &options)
    case "threads": options.threads = try number(name, value, 1...64)
    case "uid": options.user = UInt32(try number(name, value, 0...Int(UInt32.max) - 1))
    case "umask":
      guard let bits = UInt32(value, radix: 8), bits <= 0o777 else {
        throw usage("umask=\(value) is not an octal number up to 777")
      }
      options.umask = bits
    default: preconditionFailure("\(name) is in the list of options and not here")
    }
  }

  private static func setSecret(_ secret: DriverOptions.Secret, _ options: inout DriverOptions) throws(YesterError) {
    guard options.secret == nil else {
      throw usage("only one of key_file=, password_file=, password_command= and password_fd= can be given")
    }
    options.secret = secret
  }

  private static func number(_ name: String, _ value: String, _ range: ClosedRange<Int>) throws(YesterError) -> Int {
    guard let number = Int(value), range.contains(number) else {
      throw usage("\(name)=\(value) is not a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// In bytes; without a unit in MiB.
  private static func size(_ name: String, _ value: String) throws(YesterError) -> Int {
    do throws(ByteSize.Failure) {
      return Int(try ByteSize.parse(value, unit: 1 << 20, in: 1 << 20...1 << 40))
    } catch {
      throw usage("\(name)=\(value): \(error)")
    }
  }

  private static func usage(_ message: String) -> YesterError {
    YesterError(.usage, "\(message); see yesterfs --help")
  }

  private static func unknown(_ option: String) -> YesterError {
    let known = withValue.map { "\($0)=" } + withoutValue
    return YesterError(
      .usage, "\(option) is not an option here; there are: \(known.sorted().joined(separator: ", "))")
  }
}
