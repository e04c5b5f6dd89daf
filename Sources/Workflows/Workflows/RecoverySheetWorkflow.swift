internal import ChunkCodec
internal import Maintenance
internal import ObjectStores
internal import Platform
internal import Reporting
package import RepositoryCore
package import RepositoryFormat

/// A new full key on a sheet of paper, from which a repository can be opened when everything else is lost.
package struct RecoverySheet: Sendable {
  package let repository: String
  package let repositoryID: String
  /// The slot that the key opens.
  package let slot: ObjectID
  /// 64 hexadecimal digits: all of the key file.
  package let key: String
  /// How the SHA-256 of the digits begins.
  package let check: String
  /// The day it was made, `2026-11-20`.
  package let date: String
}

/// Adds a key to a repository and hands it over. One that nobody has got is not left there.
package struct RecoverySheetWorkflow {
  package init() {}

  /// `deliver` says whether the sheet has reached whoever asked for it. Throws `YesterError`.
  package func run(_ repository: Repository, deliver: (RecoverySheet) throws -> Bool) throws {
    try repository.requireFullKey("export keys")
    let key = System.random(32)
    let hex = Hex.encode(key)
    let now = Timestamp.now()
    let date = String(now.iso8601(offset: now.localOffset).prefix(10))
    let slot = try KeySlots.add(repository, .full, .keyFile(key), label: "recovery sheet \(date)")
    let sheet = RecoverySheet(
      repository: repository.store.location, repositoryID: repository.config.id.description, slot: slot, key: hex,
      check: Hex.encode(SHA256.hash(Array(hex.utf8)).bytes.prefix(4)), date: date)
    do {
      if try deliver(sheet) { return }
    } catch {
      try remove(slot, repository)
      throw error
    }
    try remove(slot, repository)
    throw YesterError(.failed, "The recovery sheet could not be written; its key was removed again")
  }

  private func remove(_ slot: ObjectID, _ repository: Repository) throws {
    let slots = try KeySlots.list(repository)
    try KeySlots.remove(KeySlots.find(slot.hex, in: slots), repository, isForced: true)
  }
}
