package import Maintenance
package import Reporting
package import RepositoryCore
internal import RepositoryFormat

/// Removes old snapshots by rules, and gives back their space.
///
/// First it is decided what goes and shown; then all of that is removed, or none; only then is the space given back. A
/// prune that fails or is refused leaves a repository that is whole: a later one takes care of the rest.
package struct RotationWorkflow {
  package struct Result: Sendable {
    /// Of every snapshot that was looked at, oldest first.
    package let decisions: [Rotation.Decision]
    /// Nil where no space was to be given back.
    package var pruned: Prune.Result?
    /// What the run ends with although the others were rotated: snapshots that look suspicious have held theirs up.
    package var failure: YesterError?
  }

  package var rules: RetentionRules
  /// Only this host's snapshots; nil for those of all.
  package var host: String?
  /// Only this plan's snapshots; nil for those of all.
  package var plan: String?
  /// Remove by the rules although the newest snapshot looks suspicious.
  package var isForced = false
  /// How space is given back afterwards; nil to leave that to a later run.
  package var prune: PruneWorkflow? = PruneWorkflow()
  package var isDryRun = false

  package init(_ rules: RetentionRules) { self.rules = rules }

  /// Throws `YesterError`; `Stopped` when it was interrupted while space was given back.
  package func run(_ repository: Repository, _ interaction: Interaction) throws -> Result {
    try repository.requireFullKey("remove snapshots")
    let catalog = try MissingSnapshots.completeCatalog(repository)
    let decisions = try Rotation.decide(catalog, host: host, plan: plan, rules: rules, force: isForced)
    interaction.present(.rotation(decisions))
    warnOfUselessTags(decisions, interaction)
    warnOfTimes(decisions, interaction)
    let removed = decisions.filter { !$0.isKept }.map(\.snapshot)
    if !isDryRun {
      try interaction.requireConsent(to: .rotation(decisions))
      try Rotation.remove(decisions, repository)
    }
    var result = Result(decisions: decisions)
    if var prune {
      prune.isDryRun = isDryRun
      result.pruned = try prune.run(repository, removed: removed, interaction)
    }
    result.failure = Self.failure(decisions)
    return result
  }

  private func warnOfTimes(_ decisions: [Rotation.Decision], _ interaction: Interaction) {
    for snapshot in decisions.map(\.snapshot) {
      guard let doubt = snapshot.timeDoubt else { continue }
      interaction.warn(
        "The snapshot \(snapshot.record.name) of the host \(snapshot.record.host) is kept and counts for nothing in the "
          + "rules: \(doubt). \"yester remove \(snapshot.id.short)\" removes it.")
    }
  }

  private static func failure(_ decisions: [Rotation.Decision]) -> YesterError? {
    let held = decisions.filter { $0.suspicion != nil }
    guard let first = held.first, let suspicion = first.suspicion else { return nil }
    let record = first.snapshot.record
    let more = held.count > 1 ? " (and \(held.count - 1) more)" : ""
    return YesterError(
      .failed,
      "The newest snapshot \(record.name) of the host \(record.host), plan \(record.plan), looks suspicious: "
        + "\(suspicion)\(more). None of its series was removed",
      advice:
        "If all is well with it, rotate with --force. Otherwise make a new backup, and remove this one: "
        + "yester remove --force \(first.snapshot.id.short)")
  }

  /// A tag with a mistake in it keeps nothing. Where there are no tags at all, some may come yet.
  private func warnOfUselessTags(_ decisions: [Rotation.Decision], _ interaction: Interaction) {
    let known = Set(decisions.flatMap(\.snapshot.record.tags)).sorted()
    for tag in rules.keepTags where !known.isEmpty && !known.contains(tag) {
      interaction.warn(
        "--keep-tag \(tag) keeps nothing: no snapshot has that tag. There are the tags: "
          + known.joined(separator: ", ") + ".")
    }
  }
}
