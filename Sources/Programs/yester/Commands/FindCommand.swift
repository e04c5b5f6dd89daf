internal import ArgumentParser
internal import Documents
internal import Exploring
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat
internal import ResultDocuments
internal import SnapshotTree

struct FindCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "find",
    abstract: "Look for files by name in all snapshots of a host.",
    discussion: """
      A plain word finds all names that contain it. A pattern with "*", "?" or "[" is compared with whole names, one \
      with a slash with whole paths: "*" and "?" stand for anything but a slash, "[a-z]" for one of these, and "**" \
      for any number of directories, as in "home/**/*.odt"; "**/hosts" finds just what is named so. For each path it \
      shows every distinct version, and the first and the last snapshot that hold it. When nothing is found, the exit \
      status is 1.
      """
  )

  enum Kind: String, CaseIterable, ExpressibleByArgument {
    case file = "f"
    case directory = "d"
    case link = "l"
    var type: EntryType {
      switch self {
      case .file: .file
      case .directory: .directory
      case .link: .symbolicLink
      }
    }
  }

  @Argument(help: ArgumentHelp("What to look for.", valueName: "pattern"))
  var pattern: String

  @Option(help: "Whose snapshots to look in (default: this host's).") var host: String?
  @Option(help: ArgumentHelp("Look in this one only, perhaps below a path in it.", valueName: "snapshot[:path]"))
  var snapshot: String?
  @Option(name: .customLong("type"), help: "Only files (f), directories (d) or symbolic links (l).") var kind: Kind?
  @Flag(name: [.long, .customShort("i")], help: "Take capital and small letters as equal.") var ignoreCase = false

  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard !pattern.isEmpty else { throw ValidationError("The pattern is empty. Say what to look for.") }
    guard snapshot == nil || host == nil else { throw ValidationError("--host and --snapshot exclude each other.") }
  }

  func run() throws {
    let pattern = try FindPattern(pattern, ignoresCase: ignoreCase)
    let explorer = try Explorer(access.open(), purpose: "look for files")
    defer { explorer.close() }
    let locations: [SnapshotLocation]
    if let snapshot {
      locations = [try explorer.locate(SnapshotSelector(snapshot))]
    } else {
      locations = try explorer.snapshots(ofHost: host).snapshots.map { SnapshotLocation(explorer.reader($0)) }
    }
    let search = SnapshotSearch(pattern, types: Set(kind.map { [$0.type] } ?? []), stop: Termination.stop)
    var matches = 0
    try ResultStream.run { stream in
      if output.json { try stream.json { $0.beginArray() } }
      try search.run(locations) { match in
        matches += 1
        if output.json {
          try stream.json { $0.value(MatchDocument(match, in: locations)) }
        } else {
          try Self.printText(match, locations, stream)
        }
      }
      if output.json {
        try stream.json { $0.endArray() }
        try stream.endJSON()
      }
    }
    guard matches > 0 else { throw nothing(pattern.scope, locations.count) }
  }

  /// What to say when nothing was found, and how else to look for it.
  private func nothing(_ scope: FindPattern.Scope, _ count: Int) -> YesterError {
    let what =
      switch scope {
      case .partOfName: "No name contains \"\(pattern)\""
      case .wholeName: "No whole name matches \"\(pattern)\""
      case .wholePath: "No whole path matches \"\(pattern)\""
      }
    var advice: [String] = []
    switch scope {
    case .partOfName: break
    case .wholeName: advice.append("\"*\" at both ends finds what contains it.")
    case .wholePath: advice.append("\"**/\" at the beginning finds it in any directory.")
    }
    if !ignoreCase { advice.append("-i takes capital and small letters as equal.") }
    if snapshot == nil && host == nil { advice.append("--host looks in another host's snapshots.") }
    return YesterError(
      .failed, "\(what) in \(count == 1 ? "the snapshot" : "the \(Output.count(UInt64(count))) snapshots") looked at",
      advice: advice.joined(separator: " "))
  }

  private static func printText(
    _ match: SnapshotSearch.Match,
    _ locations: [SnapshotLocation],
    _ stream: ResultStream
  ) throws {
    let isDirectory = match.versions.allSatisfy { $0.entry.isDirectory }
    let path = [0x2F] + match.path + (isDirectory ? [0x2F] : [])
    try stream.bytes(EntryText.name(path, forTerminal: stream.isTerminal) + [0x0A])
    for version in match.versions {
      guard let bounds = version.snapshots.bounds else { continue }
      let first = locations[bounds.lowerBound].reader.snapshot.record.name
      let last = locations[bounds.upperBound].reader.snapshot.record.name
      let count = version.snapshots.count
      let range = count == 1 ? first : "\(first) .. \(last) (\(Output.count(UInt64(count))) snapshots)"
      let entry = version.entry
      switch entry.body {
      case .file:
        try stream.line(
          "    \(EntryText.right(Output.size(entry.size), 9))  \(EntryText.time(entry.modified))  \(range)"
        )
      case .directory: try stream.line("    \(range)")
      default:
        try stream.line("    \(EntryText.right(entry.type.word, 9))  \(EntryText.time(entry.modified))  \(range)")
      }
    }
  }
}
