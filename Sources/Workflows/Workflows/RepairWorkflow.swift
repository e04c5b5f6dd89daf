package import Maintenance
package import RepositoryCore

/// Makes anew what follows from what is stored.
package struct RepairWorkflow {
  package var isDryRun = false

  package init() {}

  /// Throws `YesterError`, and `Stopped` when it was interrupted: then the index is as it was.
  package func rebuildIndex(_ repository: Repository, _ interaction: Interaction) throws -> IndexRebuild.Result {
    try interaction.stage(.repair) { try IndexRebuild.run(repository, isDryRun: isDryRun, progress: $0) }
  }
}
