internal import Platform
internal import Reporting
internal import Restoring

/// Tells what the destination of a restore could not keep: a line for each kind, whatever the number of files.
enum LossView {
  static func show(_ outcome: Restore.Outcome) {
    for one in outcome.unmade {
      let entries = one.count == 1 ? "1 \(words(one.kind))" : "\(Output.count(one.count)) \(words(one.kind))s"
      line("\(entries) could not be made", one.reason, one.example)
    }
    for one in outcome.losses {
      let entries = Output.count(one.count, "entry", "entries")
      line("\(entries): \(words(one))", one.reason, one.example)
    }
  }

  private static func line(_ what: String, _ reason: Errno?, _ example: [UInt8]) {
    let path = example.isEmpty ? "the destination itself" : String(printable(example).drop { $0 == "/" })
    let why = reason?.description ?? "the file system does not keep it"
    Output.note("yester: \(what) (\(why)), such as \(path).")
  }

  private static func words(_ kind: UnmadeEntries.Kind) -> String {
    switch kind {
    case .symbolicLinks: "symbolic link"
    case .pipes: "named pipe"
    case .sockets: "socket"
    case .devices: "device node"
    }
  }

  private static func words(_ loss: RestoreLosses.Loss) -> String {
    switch loss.kind {
    case .owner: "the owner could not be kept"
    case .permissions: "the permissions could not be kept"
    case .times: "the time of modification could not be kept exactly, it differs by \(difference(loss.difference))"
    case .attributes: "extended attributes could not be kept"
    case .hardLinks: "a further name (hard link) of a file became a file of its own with the same content"
    }
  }

  private static func difference(_ nanoseconds: UInt64) -> String {
    switch nanoseconds {
    case ..<1000: "less than a microsecond"
    case ..<1_000_000_000: "less than a second"
    case ...2_000_000_000: "up to 2 seconds"
    default: "more than 2 seconds"
    }
  }
}
