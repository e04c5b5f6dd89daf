internal import ChunkCodec
internal import ObjectStores
internal import Platform
package import RepositoryCore
package import RepositoryFormat

extension Repository {
  /// Stores a lease as another process of this machine would: one that is alive, unless `change` says otherwise.
  @discardableResult
  package func putLease(_ change: (inout LeaseRecord) -> Void = { _ in }) throws -> LeaseRecord {
    var record = LeaseRecord(
      id: System.random(16),
      purpose: .backup,
      host: System.hostName,
      bootID: System.bootID,
      process: UInt64(System.processID),
      processStart: System.startTime(ofProcess: System.processID) ?? 0,
      sequence: 1,
      since: .now(),
      renewed: .now()
    )
    change(&record)
    try store.replace(.lease(record.name), RecordSealing.seal(record, keyring))
    return record
  }
}

extension LeaseRecord {
  /// That of its object.
  package var name: String { Hex.encode(id) }
}
