internal import ArgumentParser
internal import Documents
internal import Platform
internal import RepositoryCore
internal import RepositoryFormat
internal import SnapshotTree
internal import Workflows

struct ShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Show all that is recorded of a snapshot."
  )

  @Argument(help: "\"latest\", a day (20261120), a name or the beginning of an id.")
  var snapshot: String

  @Option(help: "Whose snapshot (default: this host's, then any).") var host: String?
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let catalog = try SnapshotCatalog(try access.open())
    let selector = SnapshotSelector(snapshot)
    let found = try selector.findWhole(in: catalog, host: host)
    HostNotice.tell(selector, found, catalog, host: host)
    let base = found.record.base.flatMap { id in catalog.snapshots.first { $0.id == id }?.record.name }
    if output.json {
      Output.json(SnapshotDetailDocument(found, baseName: base))
    } else {
      Self.printText(found, base)
    }
  }

  /// Tells writers apart; it is the beginning of the writer's public key.
  private static func writer(_ snapshot: CatalogedSnapshot) -> String { Hex.encode(snapshot.envelope.writer.prefix(8)) }

  private static func printText(_ snapshot: CatalogedSnapshot, _ base: String?) {
    let r = snapshot.record
    let c = r.counts
    var rows = [["Name", r.name], ["Id", snapshot.id.hex], ["Host", r.host], ["Plan", r.plan]]
    func add(_ title: String, _ text: String) {
      if !text.isEmpty { rows.append([title, EntryText.text(Array(text.utf8))]) }
    }
    add("Kind", r.kind.description)
    add("Type", r.type.description)
    // What its maker wrote, where somebody has annotated it since.
    func add(_ title: String, _ text: String, recorded: String) {
      guard text != recorded else { return add(title, text) }
      rows.append([title, text.isEmpty ? "none" : EntryText.text(Array(text.utf8))])
      rows.append(["  at first", recorded.isEmpty ? "none" : EntryText.text(Array(recorded.utf8))])
    }
    let signed = snapshot.signed
    add("Description", r.summary, recorded: signed.summary)
    add("Purpose", r.purpose, recorded: signed.purpose)
    add("Notes", r.notes, recorded: signed.notes)
    add("Change ticket", r.changeTicket, recorded: signed.changeTicket)
    add("Creator", r.creator)
    add("Tags", r.tags.joined(separator: ", "), recorded: signed.tags.joined(separator: ", "))
    if let last = snapshot.annotations.last {
      add("Annotated", "\(last.time.iso8601(offset: r.utcOffset)), by \(last.by)")
    }
    add("Started", r.start.iso8601(offset: r.utcOffset))
    add("Finished", r.end.iso8601(offset: r.utcOffset) + duration(r))
    if let id = r.base { add("Compared with", base.map { "\($0) (\(id.short))" } ?? "\(id.short), which is gone") }
    add("Verified", verification(snapshot))
    add(
      "Pinned",
      snapshot.isPinned ? "for ever" : snapshot.pinnedUntil.map { "until \($0.iso8601(offset: r.utcOffset))" } ?? ""
    )
    if snapshot.isConfirmed { add("Confirmed", "yes") }
    add("Written by", "writer \(writer(snapshot)) (\(snapshot.envelope.role)), record \(r.sequence), \(r.program)")
    add(
      "Holds",
      Output.count(c.entries, "entry", "entries") + ": " + Output.count(c.files, "file") + ", "
        + Output.count(c.directories, "directory", "directories") + ", " + Output.count(c.links, "symbolic link")
        + ", \(Output.count(c.others, "other")); \(Output.size(c.bytes))"
    )
    add(
      "Changes",
      "\(Output.count(c.added)) added, \(Output.count(c.modified)) modified, \(Output.count(c.deleted)) deleted, "
        + "\(Output.count(c.unchanged)) unchanged"
    )
    if c.unreadable > 0 {
      let entries = Output.count(c.unreadable, "entry", "entries")
      add("Unreadable", "\(entries) could not be read and \(c.unreadable == 1 ? "is" : "are") not in it")
    }
    add(
      "Transferred",
      "\(Output.size(c.bytesRead)) read, \(Output.size(c.bytesNew)) new, \(Output.size(c.bytesStored)) stored"
    )
    for (index, source) in r.sources.enumerated() {
      rows.append([index == 0 ? "Sources" : "", EntryText.text(source)])
    }
    for (index, pattern) in r.excludes.enumerated() {
      rows.append([index == 0 ? "Excludes" : "", EntryText.text(pattern)])
    }
    Output.table(rows)
  }

  private static func duration(_ record: SnapshotRecord) -> String {
    let seconds = record.end.seconds.subtractingReportingOverflow(record.start.seconds)
    return seconds.overflow || seconds.partialValue < 0
      ? "" : ", after \(Output.duration(Double(seconds.partialValue)))"
  }

  private static func verification(_ snapshot: CatalogedSnapshot) -> String {
    guard let verified = snapshot.verified else { return "no" }
    return "\(verified.level), \(verified.time.iso8601(offset: snapshot.record.utcOffset)), by \(verified.by)"
  }
}
