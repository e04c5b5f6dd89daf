internal import ArgumentParser
internal import Documents
internal import Exploring
internal import RepositoryFormat
internal import SnapshotTree
internal import Workflows

struct ListFilesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls",
    abstract: "List the files in a snapshot.",
    discussion: """
      SNAPSHOT is "latest", a day (20261120), a name or the beginning of an id; a path may follow a colon. Names with \
      control characters are shown with \\xNN in place of each byte that is not printable ASCII, and at a terminal \
      also names that are not UTF-8; --null prints them as they are.
      """
  )

  @Argument(help: ArgumentHelp("The snapshot, and the path in it.", valueName: "snapshot[:path]"))
  var path: String

  @Flag(name: [.long, .customShort("l")], help: "Show type, mode, links, owner, size and time as well.")
  var long = false
  @Flag(name: [.long, .customShort("R")], help: "List all that is below, with paths relative to the one given.")
  var recursive = false
  @Flag(name: [.customLong("null"), .customShort("0")], help: "End each name with a NUL byte, and escape nothing.")
  var endsWithNull = false

  @Option(help: "Whose snapshot (default: this host's, then any).") var host: String?
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard !endsWithNull || (!long && !output.json) else {
      throw ValidationError("--null goes with neither --long nor --json.")
    }
  }

  func run() throws {
    let explorer = try Explorer(access.open(), purpose: "list files", takesLease: recursive)
    defer { explorer.close() }
    let selector = SnapshotSelector(path)
    let location = try explorer.locate(selector, host: host)
    HostNotice.tell(selector, location.reader.snapshot, explorer.catalog, host: host)
    try ResultStream.run { stream in
      if output.json { try stream.json { $0.beginArray() } }
      try forEach(location) { entry, relative in
        let path = location.path(of: relative)
        if output.json {
          try stream.json { $0.value(EntryDocument(entry, path: path)) }
        } else if endsWithNull {
          try stream.bytes(name(relative, path) + [0])
        } else {
          try stream.bytes(line(entry, name(relative, path), forTerminal: stream.isTerminal))
        }
      }
      if output.json {
        try stream.json { $0.endArray() }
        try stream.endJSON()
      }
    }
  }

  /// What is below, or the entry itself when it is no directory, with paths relative to it.
  private func forEach(_ location: SnapshotLocation, _ body: (Entry, [UInt8]) throws -> Void) throws {
    guard location.node.entry.isDirectory else { return try body(location.node.entry, []) }
    if recursive {
      try location.reader.walk(from: location.node) { node, path in
        if !path.isEmpty { try body(node.entry, path) }
        return true
      }
    } else {
      try location.reader.forEachChild(of: location.node) { node, _ in
        try body(node.entry, node.entry.name)
        return true
      }
    }
  }

  private func name(_ relative: [UInt8], _ path: [UInt8]) -> [UInt8] { relative.isEmpty ? [0x2F] + path : relative }

  private func line(_ entry: Entry, _ name: [UInt8], forTerminal: Bool) -> [UInt8] {
    var out = long ? Array(EntryText.long(entry).utf8) + [0x20] : []
    out += EntryText.name(name, forTerminal: forTerminal)
    if long, case .symbolicLink(let target) = entry.body {
      out += Array(" -> ".utf8) + EntryText.name(target, forTerminal: forTerminal)
    }
    return out + [0x0A]
  }
}
