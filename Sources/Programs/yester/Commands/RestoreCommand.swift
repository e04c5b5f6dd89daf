internal import ObjectStores
internal import RepositoryFormat
internal import ArgumentParser
internal import FileBackup
internal import LocalFiles
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import Restoring
internal import SnapshotTree
internal import Workflows

struct RestoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "Bring files back from a snapshot into a directory.",
    discussion: """
      The snapshot is named by "latest", a day (20261120), its name or the beginning of its id; "latest:/etc" is the \
      last one of sources that /etc belongs to. With a path behind a colon (from the working directory, if no slash \
      is in front), a directory's content comes to lie in the destination itself, anything else under its own name. \
      Without a path, absolute paths are made below the destination. What is there already and equal stays untouched, \
      so that an interrupted restore goes on where it ended.
      """)

  @Argument(help: ArgumentHelp("What to restore: SNAPSHOT or SNAPSHOT:PATH.", valueName: "snapshot"))
  var what: String
  @Option(
    help: ArgumentHelp("The directory to restore to; it is made when it is not there.", valueName: "directory"),
    completion: .directory)
  var to: String
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var listing: ListingOptions
  @Option(help: "Whose snapshot (default: this host's, then any).") var host: String?
  @Flag(help: "Also delete what is in the destination but not in the snapshot.") var delete = false
  @Flag(name: [.customLong("dry-run"), .customShort("n")], help: "Only show what would be done.") var dryRun = false

  func validate() throws {
    try listing.validate(output)
    guard !to.isEmpty else { throw ValidationError("--to was given no directory.") }
  }

  func run() throws {
    let list = listing.list(output, prefix: [])
    let repository = try access.open()
    try repository.requireFullKey("restore files")
    let lease = try Lease.take(repository, .read, isRequired: false)
    defer { lease?.release() }
    let selector = SnapshotSelector(what)
    let catalog = try repository.readCatalog()
    let snapshot = try selector.find(in: catalog, host: host)
    HostNotice.tell(selector, snapshot, catalog, host: host)
    let reader = SnapshotReader(snapshot, tree: TreeStore(reader: repository.reader))
    var options = Restore.Options()
    options.deletes = delete
    options.protected = ProtectedPlaces(repository.protectedPaths)
    let progress = RunProgress(stop: Termination.stop)
    let display = ProgressDisplay(progress, output, verb: "Restoring", list: list)
    defer { display.finish() }
    let start = System.bootClock
    let missing = Self.missingDirectories(of: to)
    let prepared = try Restore.prepare(
      reader, path: selector.path, into: to, options, progress: progress, listing: list?.listing)
    if dryRun {
      display.finish()
      for path in missing { try? FileSystem.removeDirectory(path.pathBytes, at: nil) }
      return PlanView.show(prepared.plan, output)
    }
    var isDamaged = false
    let outcome = try Restore.carryOut(prepared, progress: progress, listing: list?.listing) { problem in
      list?.flush()
      if problem.kind == .damaged { isDamaged = true }
      Output.note("yester: \(printable(problem.path)): \(problem.message).")
    }
    display.finish()
    LossView.show(outcome)
    PlanView.result(prepared.plan, outcome, seconds: Double(System.bootClock - start) / 1e9, output)
    if outcome.failures > 0 {
      throw YesterError(
        isDamaged ? .damaged : .failed,
        Output.count(UInt64(outcome.failures), "path") + " could not be restored (named above)",
        advice: isDamaged
          ? "Everything else was restored. Run \"yester verify\" to see what is damaged."
          : "Everything else was restored.")
    }
  }
}

extension RestoreCommand {
  /// The directories on the way to `path` that are not there yet, the deepest first.
  fileprivate static func missingDirectories(of path: String) -> [String] {
    var out: [String] = []
    var rest = path
    while !rest.isEmpty, rest != "/", (try? FileStatus(of: rest, following: false)) == nil {
      out.append(rest)
      guard let slash = rest.lastIndex(of: "/") else { break }
      rest = String(rest[..<slash])
    }
    return out
  }
}

struct RollbackCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rollback", abstract: "Return a path on this machine to what it was in a snapshot.",
    discussion: """
      First the list of changes is shown. Then everything needed is proven to be in the repository and sound, and a \
      restore point is made: a snapshot of what is there now, which can be rolled back to in the same way. Then \
      exactly the list is carried out. Nothing outside of the path is touched. At a terminal you are asked before it \
      starts; a script is not.
      """)

  @Argument(help: "The snapshot to return to.") var snapshot: String
  @Argument(help: "The path to roll back.", completion: .file()) var path: String
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions
  @Flag(name: [.customLong("dry-run"), .customShort("n")], help: "Only show what would be done.") var dryRun = false
  @Flag(name: [.long, .customShort("y")], help: "Do not ask before starting.") var yes = false

  func validate() throws {
    guard !path.isEmpty else { throw ValidationError("The path is empty.") }
  }

  func run() throws {
    let repository = try access.open()
    try repository.requireFullKey("roll back")
    let lease = try Lease.take(repository, .read, isRequired: !dryRun)
    defer { lease?.release() }
    let selector = SnapshotSelector(snapshot)
    let catalog = try repository.readCatalog()
    // Where it cannot be resolved, `prepare` says why.
    let snapshot = try selector.find(in: catalog, holding: try? Rollback.absolutePath(path))
    HostNotice.tell(selector, snapshot, catalog, host: nil)
    let reader = SnapshotReader(snapshot, tree: TreeStore(reader: repository.reader))
    let progress = RunProgress(stop: Termination.stop)
    let display = ProgressDisplay(progress, output, verb: "Comparing")
    defer { display.finish() }
    let start = System.bootClock
    let prepared = try Rollback.prepare(
      reader, path: path, protecting: ProtectedPlaces(repository.protectedPaths),
      progress: progress)
    let plan = prepared.restore.plan
    if dryRun || plan.isEmpty {
      display.finish()
      if dryRun || output.json || !output.quiet { PlanView.show(plan, output) }
      return
    }
    try Restore.prove(prepared.restore, progress: progress)
    display.finish()
    let isShown = !output.quiet && !output.json
    if isShown { PlanView.show(plan, output) }
    if !yes && Question.isPossible { try Question.goOn(isShown: isShown) { PlanView.list(plan, $0) } }
    if Termination.stop.isRaised { throw YesterError(.interrupted, "Nothing was changed") }
    let note: (PathProblem) -> Void = { Output.note("yester: \(printable($0.path)): \($0.message).") }
    let pointProgress = RunProgress(stop: Termination.stop)
    let pointDisplay = ProgressDisplay(pointProgress, output, verb: "Making a restore point")
    defer { pointDisplay.finish() }
    let point = try Rollback.takeRestorePoint(
      repository, prepared, of: snapshot.record.name, program: Version.text, progress: pointProgress
    ) { if $0.kind != .skipped { note($0) } }
    pointDisplay.finish()
    if let point, !output.quiet && !output.json { PlanView.say("Made the restore point \(point.record.name).") }
    let restoring = ProgressDisplay(progress, output, verb: "Rolling back")
    defer { restoring.finish() }
    let outcome = try Restore.carryOut(prepared.restore, progress: progress, report: note)
    restoring.finish()
    LossView.show(outcome)
    PlanView.result(plan, outcome, seconds: Double(System.bootClock - start) / 1e9, output, point: point)
    if outcome.failures > 0 {
      throw YesterError(
        .failed, Output.count(UInt64(outcome.failures), "path") + " could not be rolled back (named above)",
        advice: point.map { "To undo: yester rollback \($0.record.name) \(path)" } ?? "")
    }
  }
}

/// Shows plans of restores.
enum PlanView {
  private static let rowsMax = 1000

  static func show(_ plan: RestorePlan, _ output: OutputOptions) {
    if output.json { return Output.json { json(plan, nil, nil, &$0) } }
    list(plan) { Output.line($0) }
  }

  /// The steps, and what they come to, a line at a time.
  static func list(_ plan: RestorePlan, _ line: (String) -> Void) {
    for action in plan.actions.prefix(rowsMax) {
      if let text = words(action) { line(text) }
    }
    if plan.actions.count > rowsMax { line("… and \(plan.actions.count - rowsMax) more steps") }
    for problem in plan.problems { line("keep     \(printable(problem.path).dropFirst()): \(problem.message)") }
    line(summary("Plan", plan))
  }

  /// Results that a pager, which has ended since, cannot show any more go to stderr.
  static func say(_ text: String) {
    if StandardOutput.isReaderGone && Question.isPossible { Output.note(text) } else { Output.line(text) }
  }

  static func result(
    _ plan: RestorePlan, _ outcome: Restore.Outcome, seconds: Double, _ output: OutputOptions,
    point: Backup.Result? = nil
  ) {
    if output.json { return Output.json { json(plan, outcome, point, &$0) } }
    if !output.quiet { say(summary("Done in \(Output.duration(seconds))", plan)) }
  }

  private static func summary(_ head: String, _ plan: RestorePlan) -> String {
    "\(head): \(Output.count(plan.creates)) created, \(Output.count(plan.replaces)) replaced, "
      + "\(Output.count(plan.metadata)) with metadata set, \(Output.count(plan.deletes)) deleted, "
      + "\(Output.count(plan.unchanged)) already right"
  }

  private static func words(_ action: RestoreAction) -> String? {
    let path = action.path.isEmpty ? "." : String(printable(action.path).dropFirst())
    switch action.kind {
    case .create:
      return "create   \(path)" + (action.entries > 1 ? " and \(Output.count(action.entries - 1)) below" : "")
    case .replace(let reason): return "replace  \(path) (\(reason.rawValue))"
    case .setMetadata: return "metadata \(path)"
    case .delete: return "delete   \(path)"
    case .finishDirectory: return nil
    }
  }

  private static func json(
    _ plan: RestorePlan, _ outcome: Restore.Outcome?, _ point: Backup.Result?, _ json: inout JSONWriter
  ) {
    json.beginObject()
    json.field("dry_run", outcome == nil)
    json.field("created", plan.creates)
    json.field("replaced", plan.replaces)
    json.field("metadata", plan.metadata)
    json.field("deleted", plan.deletes)
    json.field("unchanged", plan.unchanged)
    json.field("bytes", plan.bytes)
    if let outcome {
      json.field("failed", outcome.failures)
      LossView.json(outcome, &json)
    }
    json.field("restore_point", optional: point?.record.name)
    json.key("steps")
    json.beginArray()
    for action in plan.actions {
      guard let (name, reason) = step(action.kind) else { continue }
      json.beginObject()
      json.field("step", name)
      json.field("path", printable(action.path))
      if let reason { json.field("reason", reason) }
      json.endObject()
    }
    json.endArray()
    json.endObject()
  }

  private static func step(_ kind: RestoreAction.Kind) -> (String, String?)? {
    switch kind {
    case .create: ("create", nil)
    case .replace(let reason): ("replace", reason.rawValue)
    case .setMetadata: ("metadata", nil)
    case .delete: ("delete", nil)
    case .finishDirectory: nil
    }
  }
}
