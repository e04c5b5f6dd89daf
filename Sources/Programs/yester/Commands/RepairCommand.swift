internal import ArgumentParser
internal import Maintenance
internal import Reporting
internal import ResultDocuments
internal import Workflows

struct RepairCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "repair", abstract: "Make anew what follows from what is stored.",
    discussion: """
      --rebuild-index makes the index anew from the packs, which say themselves what is in them. It helps when the \
      index was lost, is damaged, or says what is not true, and does no harm otherwise. A full key is needed. Packs that \
      cannot be read are named, and the exit status is 13; what the index says of these stays.
      """)

  @Flag(help: "Make the index anew from the packs.") var rebuildIndex = false
  @Flag(name: [.customLong("dry-run"), .customShort("n")], help: "Only say what would be done.") var dryRun = false
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    guard rebuildIndex else {
      throw YesterError(.usage, "Nothing was said that is to be repaired", advice: "Say --rebuild-index.")
    }
    var workflow = RepairWorkflow()
    workflow.isDryRun = dryRun
    let result = try workflow.rebuildIndex(access.open(), output.interaction())
    if output.json {
      Output.json(RepairDocument(result, isDryRun: dryRun))
    } else {
      for (_, message) in result.unreadable { Output.note("yester: \(message).") }
      if !output.quiet { show(result) }
    }
    guard result.unreadable.isEmpty else {
      let packs = Output.count(UInt64(result.unreadable.count), "pack")
      throw YesterError(
        .damaged, "\(packs) could not be read",
        advice: "Run \"yester verify\" to see what is affected.")
    }
  }

  private func show(_ r: IndexRebuild.Result) {
    let segments = Output.count(UInt64(r.segmentsReplaced), "part")
    Output.line(
      (dryRun ? "Would make the index anew from " : "Made the index anew from ")
        + "\(Output.count(r.packs, "pack")) with \(Output.count(r.chunks, "chunk")), in the place of \(segments)"
        + (r.segmentsUnusable > 0 ? ", \(r.segmentsUnusable) of them unusable" : "") + ".")
    if r.packsFound > 0 { Output.line("\(Output.count(r.packsFound, "pack")) had not been in it.") }
    if r.packsMissing > 0 { Output.line("\(Output.count(r.packsMissing, "pack")) that it named are not there.") }
  }
}
