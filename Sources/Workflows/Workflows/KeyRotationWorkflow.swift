internal import Maintenance
package import RepositoryCore

/// Makes new keys for what is written from now on.
package struct KeyRotationWorkflow {
  package struct Result: Sendable {
    /// The number of the epoch that the new keys begin with.
    package let epoch: UInt64
  }

  /// Goes on where records cannot be read, which might belong to the keys that end.
  package var isForced = false

  package init() {}

  /// Every key goes on to open the repository by its own password or key file.
  package func run(_ repository: Repository) throws -> Result {
    Result(epoch: try KeySlots.rotate(repository, isForced: isForced))
  }
}
