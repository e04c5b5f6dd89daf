internal import ArgumentParser
internal import Maintenance
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat
internal import RepositoryOpening
internal import ResultDocuments

struct KeyRevokeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke",
    abstract: "Take a stolen key out of force, and list what it has stored. This needs another full key.",
    discussion: """
      From now on nothing counts that comes under the key's name, however old it claims to be, and what it has stored is \
      no longer taken for granted. Its snapshots are listed, for you to look at: they are kept, but for those that \
      --since or --drop says. A snapshot that is dropped is not shown any more, and "yester prune" gives its space back. \
      A key that was removed before can be revoked, too. "yester key rotate" then makes new keys, so that what the thief \
      knows reads nothing that comes.
      """
  )

  @Argument(help: "The key's id, or the beginning of it, or its label (\"yester key list --all\").") var id: String
  @Option(
    help: ArgumentHelp(
      "Drop what it has stored from this time on: 20261120, 20261120_0930 or 2026-11-20T09:30.", valueName: "time"))
  var since: MomentOption?
  @Flag(help: "Drop all that it has stored.") var drop = false
  @Flag(help: "Show what would be kept and dropped, and change nothing.") var dryRun = false
  @Flag(help: "Revoke it without a question.") var yes = false
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard since == nil || !drop else { throw ValidationError("--since and --drop exclude each other.") }
  }

  func run() throws {
    let repository = try access.open()
    let slot = try KeySlots.find(id, in: KeySlots.list(repository, isComplete: true))
    let point: KeySlots.RevocationPoint = drop ? .beginning : since.map { .time($0.time) } ?? .now
    let isShown = !output.json && !output.quiet
    let plan = try KeySlots.revoke(slot, repository, from: point, isDryRun: true)
    if isShown { lines(plan) { Output.line($0) } }
    if !dryRun && !yes && Question.isPossible {
      guard try Question.goOn(isShown: isShown, list: { lines(plan, $0) }) else {
        throw YesterError(.interrupted, "Nothing was revoked")
      }
    }
    let done = dryRun ? plan : try KeySlots.revoke(slot, repository, from: point)
    if output.json {
      Output.json(RevocationDocument(done, of: slot))
    } else if let epoch = done.epoch, isShown {
      Output.line("Revoked the key \(slot.shortName) with epoch \(epoch).")
      Output.note("yester: Run \"yester key rotate\" next: whoever has that key knows some of the keys in use.")
    }
  }

  private func lines(_ plan: KeySlots.Revocation, _ line: (String) -> Void) {
    guard !plan.kept.isEmpty || !plan.dropped.isEmpty else { return line("The key has stored no snapshots.") }
    var rows = [["", "NAME", "ID", "HOST", "PLAN", "MADE", "SIZE"]]
    for (word, snapshots) in [("kept", plan.kept), ("dropped", plan.dropped)] {
      for snapshot in snapshots {
        let r = snapshot.record
        rows.append([
          word, r.name, snapshot.id.short, r.host, r.plan, r.start.iso8601(offset: r.utcOffset),
          Output.size(r.counts.bytes),
        ])
      }
    }
    for text in Output.tableLines(rows, right: [6]) { line(text) }
  }
}

struct KeyDropEpochCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drop-epoch",
    abstract: "Take an unusable newest epoch away. This needs a full key.",
    discussion: """
      A repository whose newest epoch is damaged, or was put there by a stranger, does not open. The right way out is to \
      copy the object back from a second copy of the repository. Without one, this says what cannot be read without the \
      epoch, and deletes it: the repository is then as the epoch before says. Keys that were removed or changed with the \
      lost epoch open it again, and what was written under keys that began with it is lost.
      """
  )

  @Argument(help: "The number of the epoch.") var epoch: String
  @Flag(help: "Drop it even if there are records that cannot be read without it.") var force = false
  @Flag(help: "Drop it without a question.") var yes = false
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    guard let number = UInt64(self.epoch) else {
      throw YesterError(.usage, "\"\(self.epoch)\" is no number of an epoch")
    }
    let store = try access.access.store()
    _ = try Repository.config(of: store)
    let epoch = try UnusableEpoch(number, store, access.access.secret())
    let text = [
      "The epoch \(number) is unusable: \(epoch.reason).",
      "Without it, the repository is as epoch \(epoch.sound) says.",
      "Records that cannot be read then: \(epoch.unreadable).",
    ]
    let isShown = !output.json && !output.quiet
    if isShown { for line in text { Output.line(line) } }
    guard epoch.unreadable == 0 || force else {
      throw YesterError(
        .damaged, "\(epoch.unreadable) records of snapshots cannot be read without the epoch \(number)",
        advice: "They may have been written under it: look for a second copy of \"epochs\" first. --force goes on.")
    }
    if !yes && Question.isPossible {
      guard try Question.goOn(isShown: isShown, list: { line in text.forEach(line) }) else {
        throw YesterError(.interrupted, "Nothing was dropped")
      }
    }
    try epoch.drop()
    if isShown { Output.line("Dropped the epoch \(number).") }
  }
}
