internal import RepositoryFormat
internal import Platform
internal import ArgumentParser
internal import Maintenance
internal import RepositoryCore

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
  @Flag(help: "Give back the space at once.") var prune = false
  @Option(help: ArgumentHelp("With --prune: how many percent of the data may be unneeded.", valueName: "percent"))
  var maxUnused = 5.0
  @Flag(name: [.customLong("dry-run"), .customShort("n")], help: "Only show what would be removed.") var dryRun = false
  @Flag(name: [.long, .customShort("y")], help: "Do not ask before removing.") var yes = false
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard (0...100).contains(maxUnused) else { throw ValidationError("--max-unused takes 0 to 100.") }
  }

  func run() throws {
    let repository = try access.open()
    try repository.requireFullKey("remove snapshots")
    let catalog = try SnapshotCatalog(repository)
    let chosen = try Removal.find(snapshots, host: host, in: catalog)
    let candidates = Removal.candidates(chosen, in: catalog)
    let isShown = !output.json && !output.quiet
    if isShown { list(candidates) { Output.line($0) } }
    if !force { try Removal.requireUnprotected(candidates) }
    if !dryRun {
      if !yes && Question.isPossible { try Question.goOn(isShown: isShown) { list(candidates, $0) } }
      try Removal.run(chosen, repository, force: force)
    }
    let reclaimed = prune ? try reclaim(repository, chosen) : nil
    if output.json {
      json(candidates, reclaimed)
    } else if !output.quiet {
      result(chosen.count, reclaimed)
    }
  }

  private func reclaim(_ repository: Repository, _ chosen: [CatalogedSnapshot]) throws -> Reclaim.Result {
    var options = Reclaim.Options()
    options.unusedMax = maxUnused / 100
    options.isDryRun = dryRun
    options.without = Set(chosen.map(\.id))
    return try PruneCommand.reclaim(repository, options, output)
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

  private func result(_ count: Int, _ reclaimed: Reclaim.Result?) {
    let what = count == 1 ? "1 snapshot" : "\(count) snapshots"
    Output.line(dryRun ? "\(what) would be removed." : "\(what) removed.")
    if let reclaimed {
      var options = Reclaim.Options()
      options.isDryRun = dryRun
      PruneCommand.show(reclaimed, options)
    } else if !dryRun {
      Output.line("The space comes back with \"yester prune\".")
    }
  }

  private func json(_ candidates: [Removal.Candidate], _ reclaimed: Reclaim.Result?) {
    Output.json { json in
      json.beginObject()
      json.field("dry_run", dryRun)
      json.key("snapshots")
      json.beginArray()
      for candidate in candidates {
        let r = candidate.snapshot.record
        json.beginObject()
        json.field("name", r.name)
        json.field("id", candidate.snapshot.id.hex)
        json.field("host", r.host)
        json.field("plan", r.plan)
        json.field("created", r.start.iso8601(offset: r.utcOffset))
        json.field("bytes", r.counts.bytes)
        json.field("description", r.summary)
        json.key("protected_by")
        json.beginArray()
        for reason in candidate.protections { json.value(reason) }
        json.endArray()
        json.endObject()
      }
      json.endArray()
      if let reclaimed {
        json.key("space")
        PruneCommand.json(reclaimed, &json)
      }
      json.endObject()
    }
  }
}
