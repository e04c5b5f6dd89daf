internal import ArgumentParser
internal import Exploring
internal import RepositoryCore
internal import RepositoryFormat
internal import ResultDocuments
internal import SnapshotTree

struct AnnotateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "annotate",
    abstract: "Give a snapshot another description, other notes or tags.",
    discussion: """
      All that shows snapshots goes by the new words from then on, and rotation by the new tags. The snapshot's name \
      stays, also where an earlier description is part of it: names never change. What the snapshot's maker wrote \
      stays in its record; "yester show" has both. An empty text ("") takes a description or notes away. A write-only \
      key can annotate its own snapshots, but take no tags away, and change nothing that a full key has written.
      """)

  @Argument(help: "\"latest\", a day (20261120), a name or the beginning of an id.") var snapshot: String
  @Option(name: [.long, .customShort("d")], help: "The new description.") var description: String?
  @Option(help: "What it is for.") var purpose: String?
  @Option(help: "Anything else worth knowing.") var notes: String?
  @Option(help: "The ticket of the change that followed.") var changeTicket: String?
  @Option(name: .customLong("tag"), help: "Have just this tag; can be given several times.") var tags: [String] = []
  @Option(name: .customLong("add-tag"), help: "Have this tag as well; can be given several times.")
  var addedTags: [String] = []
  @Option(name: .customLong("remove-tag"), help: "Do without this tag; can be given several times.")
  var removedTags: [String] = []
  @Flag(help: "Have no tags.") var noTags = false
  @Option(help: "Whose snapshot (default: this host's, then any).") var host: String?
  @Flag(name: [.customLong("dry-run"), .customShort("n")], help: "Only say what it would be.") var dryRun = false
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    let texts = [description, purpose, notes, changeTicket]
    guard texts.contains(where: { $0 != nil }) || noTags || !(tags + addedTags + removedTags).isEmpty else {
      throw ValidationError("Say what is to change, such as --description, --notes or --add-tag.")
    }
    guard tags.isEmpty || !noTags else { throw ValidationError("--tag and --no-tags exclude each other.") }
  }

  func run() throws {
    let repository = try access.open()
    let catalog = try SnapshotCatalog(repository)
    let before = try SnapshotSelector(snapshot).findWhole(in: catalog, host: host)
    var change = Annotate.Change()
    change.summary = description
    change.purpose = purpose
    change.notes = notes
    change.changeTicket = changeTicket
    change.tags = noTags ? [] : tags.isEmpty ? nil : tags
    change.addedTags = addedTags
    change.removedTags = removedTags
    let (after, isChanged) = try Annotate.run(repository, before, in: catalog, change, isDryRun: dryRun)
    if output.json {
      Output.json(AnnotationDocument(after, isChanged: isChanged, isDryRun: dryRun))
    } else if !output.quiet {
      printText(before, after, isChanged)
    }
  }

  private func printText(_ before: CatalogedSnapshot, _ after: CatalogedSnapshot, _ isChanged: Bool) {
    let name = after.record.name
    guard isChanged else { return Output.line("\(name) is described so already: nothing was changed.") }
    Output.line(dryRun ? "\(name) would have:" : "\(name) has now:")
    let (old, new) = (before.record, after.record)
    var rows: [[String]] = []
    func add(_ title: String, _ old: String, _ new: String) {
      if old != new { rows.append(["  " + title, new.isEmpty ? "none" : EntryText.text(Array(new.utf8))]) }
    }
    add("Description", old.summary, new.summary)
    add("Purpose", old.purpose, new.purpose)
    add("Notes", old.notes, new.notes)
    add("Change ticket", old.changeTicket, new.changeTicket)
    add("Tags", old.tags.joined(separator: ", "), new.tags.joined(separator: ", "))
    Output.table(rows)
  }
}
