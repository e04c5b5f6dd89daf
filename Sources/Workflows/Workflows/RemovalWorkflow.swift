package import Maintenance
package import RepositoryCore

/// Removes snapshots by their names, and perhaps gives back their space.
///
/// The list of what goes is shown first; what rotation would keep is refused, unless it is forced; then it is asked; then
/// all go, or none; then space is given back.
package struct RemovalWorkflow {
  package struct Result: Sendable {
    /// What went, or would have in a dry run.
    package let removed: [Removal.Candidate]
    /// Nil where no space was to be given back.
    package var pruned: Prune.Result?
  }

  /// Names or beginnings of ids.
  package var names: [String]
  /// Only this host's snapshots are meant; nil for those of all.
  package var host: String?
  /// Also remove what rotation would keep in any case.
  package var isForced = false
  /// How space is given back afterwards; nil to leave that to a later run.
  package var prune: PruneWorkflow?
  package var isDryRun = false

  package init(_ names: [String]) { self.names = names }

  /// Throws `YesterError`; `Stopped` when it was interrupted while space was given back.
  package func run(_ repository: Repository, _ interaction: Interaction) throws -> Result {
    try repository.requireFullKey("remove snapshots")
    let catalog = try MissingSnapshots.completeCatalog(repository)
    let chosen = try Removal.find(names, host: host, in: catalog)
    let candidates = Removal.candidates(chosen, in: catalog)
    interaction.present(.removal(candidates))
    if !isForced { try Removal.requireUnprotected(candidates) }
    if !isDryRun {
      try interaction.requireConsent(to: .removal(candidates))
      try Removal.run(chosen, repository, force: isForced)
    }
    var result = Result(removed: candidates)
    if var prune {
      prune.isDryRun = isDryRun
      result.pruned = try prune.run(repository, removed: chosen, interaction)
    }
    return result
  }
}
