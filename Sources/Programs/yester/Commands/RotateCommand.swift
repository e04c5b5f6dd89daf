internal import ArgumentParser
package import Maintenance
internal import Platform
internal import RepositoryCore
internal import RepositoryFormat
internal import ResultDocuments
internal import Workflows

extension RetentionDuration: ExpressibleByArgument {
  package init?(argument: String) {
    guard let duration = try? RetentionDuration(parsing: argument) else { return nil }
    self = duration
  }
}

struct RotateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rotate", abstract: "Remove old snapshots by rules, and give back their space.",
    discussion: """
      The table shows for each snapshot by which rule it is kept, or that it is removed. A rule keeps the newest \
      snapshot of each of so many hours, days, weeks, months or years. Without rules, daily ones are kept for 30 \
      days, weekly ones for 8 weeks and monthly ones for 12 months.

      Rules are applied to each series by itself: the snapshots of one plan of one host, of the same sources, made with \
      full keys or with one write-only key (the table names it). So backups of two paths do not push each other out, \
      and when the sources of a plan change, what it held before stays until it is removed by name. A snapshot whose \
      time cannot be right, because it lies in the future or does not fit the order in which its writer stored its \
      snapshots, is named, is kept, and counts for nothing. When the newest of a series is empty, or has less than a \
      tenth of the entries or bytes of the one before, nothing of that series is removed and the exit status is 1.
      """)

  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions
  @Option(help: ArgumentHelp("Keep so many of the last snapshots.", valueName: "number")) var keepLast: Int?
  @Option(help: ArgumentHelp("Keep one of each of the last so many hours.", valueName: "number")) var keepHourly: Int?
  @Option(help: ArgumentHelp("Keep one of each of the last so many days.", valueName: "number")) var keepDaily: Int?
  @Option(help: ArgumentHelp("Keep one of each of the last so many weeks.", valueName: "number")) var keepWeekly: Int?
  @Option(help: ArgumentHelp("Keep one of each of the last so many months.", valueName: "number")) var keepMonthly: Int?
  @Option(help: ArgumentHelp("Keep one of each of the last so many years.", valueName: "number")) var keepYearly: Int?
  @Option(help: ArgumentHelp("Keep all within a time before the newest, such as 30d or 1y6m.", valueName: "time"))
  var keepWithin: RetentionDuration?
  @Option(name: .customLong("keep-tag"), help: ArgumentHelp("Keep all with this tag.", valueName: "tag"))
  var keepTags: [String] = []
  @Option(help: "Only this host's snapshots.") var host: String?
  @Option(help: "Only this plan's snapshots.") var plan: String?
  @Flag(help: "Remove by the rules even when the newest snapshot looks suspicious.") var force = false
  @Flag(help: "Do not give back the space yet; \"yester prune\" does it later.") var noPrune = false
  @OptionGroup var pruning: PruningOptions
  @Flag(name: [.customLong("dry-run"), .customShort("n")], help: "Only show what would be removed.") var dryRun = false

  func validate() throws {
    let numbers = [keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly, keepYearly]
    guard numbers.allSatisfy({ $0 ?? 0 >= 0 }) else { throw ValidationError("Rules keep 0 or more snapshots.") }
  }

  func run() throws {
    var workflow = RotationWorkflow(rules)
    workflow.host = host
    workflow.plan = plan
    workflow.isForced = force
    workflow.isDryRun = dryRun
    workflow.prune = noPrune ? nil : pruning.workflow()
    var interaction = output.interaction()
    interaction.present = { intention in
      if case .rotation(let decisions) = intention, !output.json && !output.quiet { table(decisions) }
    }
    let result = try workflow.run(access.open(), interaction)
    if output.json {
      Output.json(RotationDocument(result, isDryRun: dryRun))
    } else if let pruned = result.pruned, !output.quiet {
      PruneCommand.show(pruned, isDryRun: dryRun)
    }
    if let failure = result.failure { throw failure }
  }

  private var rules: RetentionRules {
    let given = RetentionRules(
      keepLast: keepLast, keepHourly: keepHourly, keepDaily: keepDaily, keepWeekly: keepWeekly,
      keepMonthly: keepMonthly, keepYearly: keepYearly, keepWithin: keepWithin, keepTags: keepTags)
    return given == RetentionRules() ? .standard : given
  }

  private func table(_ decisions: [Rotation.Decision]) {
    if decisions.isEmpty { return Output.line("There are no snapshots.") }
    var rows = [["", "NAME", "ID", "HOST", "PLAN", "WRITER", "KEPT BY"]]
    for decision in decisions {
      let s = decision.snapshot
      rows.append([
        decision.isKept ? "keep" : "remove", s.record.name, s.id.short, s.record.host, s.record.plan,
        s.writerClass.description, decision.reasons.joined(separator: ", "),
      ])
    }
    Output.table(rows)
    let kept = decisions.count { $0.isKept }
    Output.line("\(kept) kept, \(decisions.count - kept) \(dryRun ? "would be " : "")removed.")
  }
}

struct PruneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prune", abstract: "Give back the space of what no snapshot needs.",
    discussion: """
      It takes two runs: the first condemns what nobody needs any more, so that nothing new builds on it, and one that \
      comes an hour later or more deletes it. Run it regularly, and the space comes back with the next run. \
      Others may go on making and reading snapshots meanwhile. What they may still need is not deleted before they \
      are done, or were silent for a day. When records of snapshots are missing, or all of them, nothing is \
      deleted, since nobody can say what they need: put the folder "snapshots", or what "yester verify" names, back \
      from a copy of the repository.
      """)

  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var pruning: PruningOptions
  @Flag(name: [.customLong("dry-run"), .customShort("n")], help: "Only say what would be done.") var dryRun = false
  @Flag(
    help: """
      Go on although records of snapshots are missing. They count as removed from then on, also when they are found \
      again, and the space of what they alone need is given back.
      """)
  var acceptMissingSnapshots = false

  func run() throws {
    var workflow = pruning.workflow(isDryRun: dryRun)
    workflow.acceptsMissingSnapshots = acceptMissingSnapshots
    let result = try workflow.run(access.open(), output.interaction())
    if output.json { Output.json(PruneDocument(result)) } else if !output.quiet { Self.show(result, isDryRun: dryRun) }
  }

  static func show(_ r: Prune.Result, isDryRun: Bool) {
    if isDryRun {
      return Output.line(
        "Would delete \(packs(r.packsCondemned)) (\(Output.size(r.bytesFreed))) and rewrite \(r.packsRewritten) of "
          + "\(packs(r.packsBefore)).")
    }
    Output.line(
      "Freed \(Output.size(r.bytesFreed)): \(packs(r.packsDeleted)) deleted, \(r.packsRewritten) rewritten, of "
        + "\(packs(r.packsBefore)) with \(Output.size(r.bytesBefore)).")
    if r.packsWaiting > 0 {
      var conditions: [String] = []
      if let time = r.waitingUntil.map({ Timestamp(seconds: $0) }) {
        conditions.append("after \(time.iso8601(offset: time.localOffset))")
      }
      if !r.waitingFor.isEmpty {
        conditions.append("when these are done, or were silent for a day: " + r.waitingFor.joined(separator: ", "))
      }
      Output.line(
        "\(packs(r.packsWaiting)) \(r.packsWaiting == 1 ? "is" : "are") deleted by a later run"
          + conditions.map { ", " + $0 }.joined() + ".")
    }
    for name in r.snapshotsTakenBack {
      Output.line("The snapshot \(name) was taken back: its backup had ended before it was proven, and it lacks data.")
    }
  }

  private static func packs(_ count: some BinaryInteger) -> String { Output.count(UInt64(count), "pack") }
}
