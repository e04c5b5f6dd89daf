internal import ArgumentParser
internal import Workflows

/// `--minimum-age`: how long packs stay that nobody needs any more, as `90s`, `30m`, `12h`, `7d` or `0`.
struct MinimumAge: ExpressibleByArgument {
  let seconds: Int64

  init?(argument: String) {
    if argument == "0" {
      seconds = 0
      return
    }
    let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
    guard let unit = argument.last.flatMap({ units[$0] }), argument.utf8.count <= 8,
      argument.dropLast().allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int64(argument.dropLast())
    else { return nil }
    seconds = number * unit
  }
}

/// What the commands have in common that give back space.
struct PruningOptions: ParsableArguments {
  @Option(help: ArgumentHelp("How many percent of the data may be unneeded.", valueName: "percent"))
  var maxUnused = 5.0
  @Option(
    help: ArgumentHelp(
      """
      How long what nobody needs any more stays at least: a first run condemns it, and a later one that comes after \
      this time deletes it (90s, 30m, 12h, 7d; 1h if not given). So a mistake, such as records of snapshots that were \
      moved away, can be put right until then. With 0 one run does both: only where nobody else is at work.
      """,
      valueName: "time"))
  var minimumAge: MinimumAge?

  func validate() throws {
    guard (0...100).contains(maxUnused) else { throw ValidationError("--max-unused takes 0 to 100.") }
  }

  func workflow(isDryRun: Bool = false) -> PruneWorkflow {
    var workflow = PruneWorkflow(unusedMax: maxUnused / 100, isDryRun: isDryRun)
    if let minimumAge { workflow.minimumAge = minimumAge.seconds }
    return workflow
  }
}
