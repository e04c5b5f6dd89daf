internal import ArgumentParser
internal import Maintenance
internal import Platform
internal import RepositoryCore
internal import RepositoryFormat
internal import ResultDocuments
internal import Workflows

struct RemoveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Remove snapshots by their names.",
    discussion: """
      First the list of what goes is shown; at a terminal you are asked before anything is removed, a script is not. \
      All of them go, or none. What rotation would keep in any case (pinned snapshots, restore points that are not \
      confirmed, pre-change snapshots that are not verified, the last verified and the only snapshot of a plan) goes \
      only with --force. Other snapshots stay complete, also those that were compared with one that goes. The space \
      comes back with --prune, or later with "yester prune".
      """)

  @Argument(
    help: ArgumentHelp(
      "Names or beginnings of ids. A day (20261120) is enough where it has one snapshot only; \"latest\" is not taken.",
      valueName: "snapshot"))
  var snapshots: [String]
  @Option(help: "Only this host's snapshots are meant.") var host: String?
  @Flag(help: "Also remove what rotation would keep in any case.") var force = false
  @Flag(help: "Give back the space as well, as \"yester prune\" does.") var prune = false
  @OptionGroup var pruning: PruningOptions
  @Flag(name: [.customLong("dry-run"), .customShort("n")], help: "Only show what would be removed.") var dryRun = false
  @Flag(name: [.long, .customShort("y")], help: "Do not ask before removing.") var yes = false
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    var workflow = RemovalWorkflow(snapshots)
    workflow.host = host
    workflow.isForced = force
    workflow.isDryRun = dryRun
    workflow.prune = prune ? pruning.workflow() : nil
    let isShown = !output.json && !output.quiet
    var interaction = output.interaction()
    interaction.present = { intention in
      if case .removal(let candidates) = intention, isShown { list(candidates) { Output.line($0) } }
    }
    interaction.confirm = { intention in
      guard case .removal(let candidates) = intention, !yes && Question.isPossible else { return true }
      return try Question.goOn(isShown: isShown) { list(candidates, $0) }
    }
    let result = try workflow.run(access.open(), interaction)
    if output.json {
      Output.json(RemovalDocument(result, isDryRun: dryRun))
    } else if !output.quiet {
      show(result)
    }
  }

  /// What is to be removed, a line at a time.
  private func list(_ candidates: [Removal.Candidate], _ line: (String) -> Void) {
    let isProtected = candidates.contains { !$0.protections.isEmpty }
    let isDescribed = candidates.contains { !$0.snapshot.record.summary.isEmpty }
    var rows = [["NAME", "ID", "HOST", "PLAN", "MADE", "SIZE"]]
    if isDescribed { rows[0].append("DESCRIPTION") }
    if isProtected { rows[0].append("KEPT BY ROTATION AS") }
    for candidate in candidates {
      let r = candidate.snapshot.record
      var row = [
        r.name, candidate.snapshot.id.short, r.host, r.plan, r.start.iso8601(offset: r.utcOffset),
        Output.size(r.counts.bytes),
      ]
      if isDescribed { row.append(String(r.summary.prefix(60))) }
      if isProtected { row.append(candidate.protections.joined(separator: ", ")) }
      rows.append(row)
    }
    for text in Output.tableLines(rows, right: [5]) { line(text) }
  }

  private func show(_ result: RemovalWorkflow.Result) {
    let count = result.removed.count
    let what = count == 1 ? "1 snapshot" : "\(count) snapshots"
    Output.line(dryRun ? "\(what) would be removed." : "\(what) removed.")
    if let pruned = result.pruned {
      PruneCommand.show(pruned, isDryRun: dryRun)
    } else if !dryRun {
      Output.line("The space comes back with \"yester prune\".")
    }
  }
}
