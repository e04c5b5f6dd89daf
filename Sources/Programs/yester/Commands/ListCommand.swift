internal import ArgumentParser
internal import Documents
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat
internal import SnapshotTree
internal import Workflows

struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the snapshots.",
    discussion: "Tags and descriptions are those that \"yester annotate\" has given since, where it has.")

  @Argument(
    help: ArgumentHelp("Only \"latest\", or what these begin: a day, names, ids.", valueName: "snapshot"))
  var names: [String] = []
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions
  @Option(help: "Only this host's snapshots.") var host: String?
  @Option(help: "Only this plan's snapshots.") var plan: String?
  @Option(name: .customLong("tag"), help: "Only snapshots with this tag; several times: with all of them.")
  var tags: [String] = []
  @Flag(help: "With --json: the catalog in the form of backup_metadata.json, with every file of every snapshot.")
  var files = false

  func validate() throws {
    guard !files || output.json else { throw ValidationError("--files goes with --json.") }
  }

  func run() throws {
    let repository = try access.open()
    let catalog = try SnapshotCatalog(repository)
    let snapshots = try SnapshotFilter(names: names, host: host, plan: plan, tags: tags).select(from: catalog)
    if host == nil && !output.json && !output.quiet { HostNotice.tell(catalog) }
    if files {
      try repository.requireFullKey("list files")
      try repository.index.refresh()
      let tree = TreeStore(reader: repository.reader)
      try ResultStream.run { stream in
        try CatalogDocument(snapshots, files: { SnapshotReader($0, tree: tree) }).write { try stream.bytes($0) }
      }
    } else if output.json {
      Output.json(snapshots.lazy.map(SnapshotDocument.init))
    } else {
      Self.printTable(snapshots)
    }
    if catalog.foreignCount > 0 {
      Output.note(
        "yester: \(catalog.foreignCount) snapshots of other keys are not shown: a write-only key sees its own.")
    }
    guard catalog.damaged.isEmpty else {
      for (id, error) in catalog.damaged { Output.note("yester: snapshots/\(id) is unusable: \(error.message).") }
      let records = Output.count(UInt64(catalog.damaged.count), "snapshot record is", "snapshot records are")
      throw YesterError(.damaged, "\(records) unusable", advice: "Run \"yester verify\".")
    }
  }

  private static func printTable(_ snapshots: [CatalogedSnapshot]) {
    if snapshots.isEmpty { return Output.line("There are no snapshots yet.") }
    var rows = [["NAME", "ID", "HOST", "PLAN", "KIND", "TYPE", "ENTRIES", "SIZE", "NEW", "VERIFIED"]]
    let hasTags = snapshots.contains { !$0.record.tags.isEmpty }
    let hasDescriptions = snapshots.contains { !$0.record.summary.isEmpty }
    if hasTags { rows[0].append("TAGS") }
    if hasDescriptions { rows[0].append("DESCRIPTION") }
    for s in snapshots {
      var row = [
        s.record.name, s.id.short, s.record.host, s.record.plan, s.record.kind.description,
        s.record.type.description, Output.count(s.record.counts.entries), Output.size(s.record.counts.bytes),
        Output.size(s.record.counts.bytesStored), s.verified?.level ?? "-",
      ]
      if hasTags { row.append(shortened(s.record.tags.joined(separator: ","))) }
      if hasDescriptions { row.append(shortened(s.record.summary)) }
      rows.append(row)
    }
    Output.table(rows, right: [6, 7, 8])
  }

  private static let columnsMax = 60

  /// For a cell of the table; "yester show" has the whole text.
  private static func shortened(_ text: String) -> String {
    let shown = EntryText.text(Array(text.prefix(columnsMax + 1).utf8))
    return shown.count > columnsMax ? shown.prefix(columnsMax) + "…" : shown
  }
}
