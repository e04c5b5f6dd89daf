package import ChunkCodec
internal import Maintenance
package import RepositoryCore
package import RepositoryFormat

/// Makes new keys for what is written from now on.
package struct KeyRotationWorkflow {
  package struct Result: Sendable {
    /// The slot in use, which opens the old and the new keys.
    package let slot: ObjectID
    /// How many other slots cannot open what is written from now on.
    package let outdatedSlots: Int
  }

  package init() {}

  /// `secret` is what opened the repository.
  package func run(_ repository: Repository, _ secret: Secret) throws -> Result {
    let slot = try KeySlots.rotate(repository, secret)
    let others = try KeySlots.list(repository).count { $0.id != slot }
    return Result(slot: slot, outdatedSlots: others)
  }
}
