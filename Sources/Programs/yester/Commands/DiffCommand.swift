internal import ArgumentParser
internal import Documents
internal import Exploring
internal import ObjectStores
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat
internal import ResultDocuments
internal import SnapshotTree
internal import Workflows

struct DiffCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff",
    abstract: "Show what differs between two snapshots, or a snapshot and the live files.",
    discussion: """
      Each line begins with + (added), - (removed), M (another content), m (only mode, owner, time or extended \
      attributes differ) or T (another type). The second one may be "live", "live:path" or a path with a slash in it: then \
      the files of this machine are compared, without what the snapshot left out by its exclude patterns; their \
      extended attributes are not looked at. A path that is given for one side only holds for both. That the time of \
      a directory differs is not shown.
      """
  )

  @Argument(help: ArgumentHelp("The old state.", valueName: "snapshot[:path]"))
  var old: String
  @Argument(help: ArgumentHelp("The new state.", valueName: "snapshot[:path]|live[:path]|path"), completion: .file())
  var new: String

  @Flag(help: "End with status 1 when there are differences.") var exitCode = false

  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let repository = try access.open()
    let explorer = try Explorer(repository, purpose: "compare files")
    defer { explorer.close() }
    let oldSelector = SnapshotSelector(old)
    guard oldSelector.snapshot != "live", !LivePath.isPath(old) else {
      throw YesterError(.usage, "The live files can only be the second of the two", advice: "Name a snapshot first.")
    }
    var problems = 0
    var counts = DifferenceCounts()
    try ResultStream.run { stream in
      if let live = try LivePath.parse(new) {
        let location = try explorer.locate(oldSelector, defaultPath: (live.path ?? "").pathBytes)
        HostNotice.tell(oldSelector, location.reader.snapshot, explorer.catalog, host: nil)
        let path = live.path.map(\.pathBytes) ?? [0x2F] + location.path
        let comparison = LiveComparison(
          location,
          of: repository,
          stop: Termination.stop
        ) { problem in
          problems += 1
          Output.note("yester: \(printable(problem.path)): \(problem.message).")
        }
        try begin(stream, location, new: "live", newPath: Array(path.dropFirst()))
        counts = try comparison.run(path) { try show($0, below: location, stream) }
      } else {
        let newSelector = SnapshotSelector(new)
        let a = try explorer.locate(oldSelector, defaultPath: newSelector.path)
        let b = try explorer.locate(newSelector, defaultPath: oldSelector.path)
        HostNotice.tell(oldSelector, a.reader.snapshot, explorer.catalog, host: nil)
        try begin(stream, a, new: b.reader.snapshot.record.name, newPath: b.path)
        counts = try SnapshotComparison(a, b, stop: Termination.stop).run { try show($0, below: a, stream) }
      }
      try end(stream, counts, problems)
    }
    if problems > 0 {
      throw YesterError(.incomplete, "\(problems) live files could not be read (named above) and were not compared")
    }
    if exitCode && counts.total > 0 { throw ExitCode(1) }
  }

  // MARK: Output

  private func begin(_ stream: ResultStream, _ location: SnapshotLocation, new: String, newPath: [UInt8]) throws {
    guard output.json else { return }
    let document = ComparisonDocument(
      old: location.reader.snapshot.record.name, oldPath: location.path, new: new, newPath: newPath)
    try stream.json { document.begin(&$0) }
  }

  private func show(_ difference: Difference, below location: SnapshotLocation, _ stream: ResultStream) throws {
    let path = location.path(of: difference.path)
    if output.json {
      try stream.json { $0.value(DifferenceDocument(difference, path: path)) }
    } else if !output.quiet {
      let isDirectory = (difference.new ?? difference.old)?.type == .directory
      let shown = [0x2F] + path + (isDirectory && !path.isEmpty ? [0x2F] : [])
      try stream.bytes(
        Array("\(difference.kind.letter) ".utf8) + EntryText.name(shown, forTerminal: stream.isTerminal) + [0x0A]
      )
    }
  }

  private func end(_ stream: ResultStream, _ counts: DifferenceCounts, _ problems: Int) throws {
    if output.json {
      try stream.json { ComparisonDocument.end(counts, problems: problems, &$0) }
      try stream.endJSON()
    } else if !output.quiet {
      func count(_ kind: Difference.Kind) -> String { Output.count(counts[kind]) }
      try stream.line(
        counts.total == 0
          ? "No differences."
          : "\(count(.added)) added, \(count(.removed)) removed, \(count(.modified)) modified, "
            + "\(count(.metadata)) with other metadata only, \(count(.type)) of another type"
      )
    }
  }
}

/// Paths on this machine, as commands take them.
enum LivePath {
  /// Whether this is no name of a snapshot, but a path: those have no slash in front of a colon.
  static func isPath(_ text: String) -> Bool {
    text == "." || text == ".." || text.prefix { $0 != ":" }.contains("/")
  }

  /// What somebody means by `live`, `live:PATH` or a path.
  enum Meaning {
    /// The path that the other side has.
    case sameAsOther
    case path(String)

    var path: String? {
      if case .path(let path) = self { path } else { nil }
    }
  }

  /// Nil for what is no path on this machine.
  static func parse(_ text: String) throws -> Meaning? {
    if text == "live" { return .sameAsOther }
    if text.hasPrefix("live:") { return .path(try resolve(String(text.dropFirst(5)))) }
    return isPath(text) ? .path(try resolve(text)) : nil
  }

  /// The absolute path, with the directories above its last component resolved as far as they are there. The last
  /// component is not followed when it is a symbolic link, unless a slash is behind it.
  static func resolve(_ text: String) throws -> String {
    guard !text.isEmpty else { throw YesterError(.usage, "The path is empty") }
    let isFollowed = ["/", "/.", "/.."].contains { text.hasSuffix($0) } || text == "." || text == ".."
    if isFollowed, let real = System.realPath(text) { return real }
    var parts = text.split(separator: "/").filter { $0 != "." }.map(String.init)
    var missing: [String] = parts.popLast().map { [$0] } ?? []
    while true {
      let above = (text.hasPrefix("/") ? "/" : "") + parts.joined(separator: "/")
      if let real = System.realPath(above.isEmpty ? "." : above) {
        return (real == "/" ? "" : real) + "/" + missing.joined(separator: "/")
      }
      guard let last = parts.popLast(), last != ".." else { throw YesterError(.failed, "\(text) is not there") }
      missing.insert(last, at: 0)
    }
  }
}
