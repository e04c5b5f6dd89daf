internal import SnapshotWriting
internal import ArgumentParser
internal import Platform
internal import Reporting
internal import ResultDocuments
internal import Restoring
internal import Workflows
internal import FileBackup
internal import RepositoryFormat

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
    var workflow = RestoreWorkflow(source: what, destination: to)
    workflow.host = host
    workflow.deletes = delete
    workflow.isDryRun = dryRun
    let result = try workflow.run(access.open(), output.interaction(list: list))
    guard let outcome = result.outcome else {
      return output.json ? Output.json(RestoreDocument(result)) : PlanView.show(result.plan)
    }
    LossView.show(outcome)
    if output.json {
      Output.json(RestoreDocument(result))
    } else if !output.quiet {
      PlanView.sayDone(result.plan, seconds: result.seconds)
    }
    if let failure = result.failure { throw failure }
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
    var workflow = RollbackWorkflow(snapshot: snapshot, path: path)
    workflow.isDryRun = dryRun
    let result = try workflow.run(access.open(), interaction)
    if let outcome = result.outcome { LossView.show(outcome) }
    if output.json {
      Output.json(RestoreDocument(result))
    } else if result.outcome != nil && !output.quiet {
      PlanView.sayDone(result.plan, seconds: result.seconds)
    }
    if let failure = result.failure { throw failure }
  }

  private var interaction: Interaction {
    let isShown = !output.quiet && !output.json
    var interaction = output.interaction()
    interaction.present = { intention in
      // A dry run is there for the list alone.
      if case .rollback(let plan) = intention, isShown || (dryRun && !output.json) { PlanView.show(plan) }
    }
    interaction.confirm = { intention in
      guard case .rollback(let plan) = intention, !yes && Question.isPossible else { return true }
      return try Question.goOn(isShown: isShown) { PlanView.list(plan, $0) }
    }
    interaction.restorePointMade = { point in
      if isShown { PlanView.say("Made the restore point \(point.record.name).") }
    }
    return interaction
  }
}

/// Shows plans of restores.
enum PlanView {
  private static let rowsMax = 1000

  static func show(_ plan: RestorePlan) { list(plan) { Output.line($0) } }

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

  static func sayDone(_ plan: RestorePlan, seconds: Double) {
    say(summary("Done in \(Output.duration(seconds))", plan))
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
}
