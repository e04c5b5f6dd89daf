package import Maintenance
package import RepositoryCore

/// Gives back the space of what no snapshot needs.
package struct PruneWorkflow {
  /// How much of the stored data may be unneeded before packs are rewritten, 0 to 1.
  package var unusedMax: Double
  package var isDryRun: Bool
  /// Seconds between the condemnation of a pack and its deletion.
  package var minimumAge = Prune.standardMinimumAge
  /// Go on although records of snapshots are missing, and sign that they count as removed.
  package var acceptsMissingSnapshots = false

  package init(unusedMax: Double = Prune.Options().unusedMax, isDryRun: Bool = false) {
    self.unusedMax = unusedMax
    self.isDryRun = isDryRun
  }

  /// `removed` are the snapshots that a workflow before it has removed or, in a dry run, would have.
  package func run(
    _ repository: Repository, removed: [CatalogedSnapshot] = [], _ interaction: Interaction
  ) throws -> Prune.Result {
    var options = Prune.Options()
    options.unusedMax = unusedMax
    options.isDryRun = isDryRun
    options.minimumAge = minimumAge
    options.acceptsMissingSnapshots = acceptsMissingSnapshots
    options.without = Set(removed.map(\.id))
    return try interaction.stage(.prune) { try Prune.run(repository, options, progress: $0) }
  }
}
