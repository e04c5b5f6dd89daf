internal import ChunkCodec
internal import Platform
package import Reporting
package import RepositoryCore
package import RepositoryFormat
package import SnapshotTree

/// Makes a snapshot of whatever a source has: read, cut, store, index, record.
package enum SnapshotRun {
  package struct Result: Sendable {
    package let record: SnapshotRecord
    /// Nil for a dry run.
    package let id: ObjectID?
    /// Paths of which something is not in the snapshot, with the sources that are not in it at all.
    package let problems: Int
    package let missingSources: Int
    package let baseName: String?
  }

  /// Throws `YesterError`, also when nothing came of the source; `Stopped` when `progress.stop` was raised: then what was
  /// stored so far is indexed, and the next run builds on it. `listing` is told of each entry in the order of the tree,
  /// a directory behind its content. `problems` may have been told of some before.
  package static func run(
    _ repository: Repository, _ options: SnapshotOptions, from source: some SnapshotSource, problems: ProblemCounter,
    progress: RunProgress, listing: EntryListing? = nil
  ) throws -> Result {
    try options.checkWords()
    try repository.requireCurrentKeys()
    try repository.requireHost(options.host)
    let uses = PackUses()
    let lease = options.isDryRun ? nil : try Lease.take(repository, .backup, uses: uses)
    defer { lease?.release() }
    // A renewal that fails costs this run some work at worst.
    uses.setAnnouncer { [weak lease] in try? lease?.renew() }
    var catalog = try repository.readCatalog()
    try catalog.markUnproven(repository)
    // What a lost pack held is stored again where the source still has it.
    _ = try repository.index.avoidMissingPacks()
    let sources = source.names
    for (_, error) in repository.index.current.unusable where error.code == .damaged {
      problems.tell(
        ofDamage: error.message + "; what only this part of the index knew is stored again. Run \"yester repair "
          + "--rebuild-index\" with a full key")
    }
    let base = BaseTree.choose(repository, catalog, options, sources: sources, uses: uses) {
      problems.tell(ofDamage: $0)
    }
    if let counts = base?.snapshot.record.counts {
      progress.setTotals(entries: counts.entries, bytes: counts.bytes)
    }
    let start = Timestamp.now()
    let writer = try SnapshotWriter(repository, options, base, progress, listing, problems, uses: uses)
    var record = try writer.run(source)
    if let damage = base?.damage { problems.tell(ofDamage: damage) }
    record.start = start
    record.end = .now()
    record.sources = sources
    SnapshotCommit.describe(&record, options, base, catalog)
    func result(_ id: ObjectID?) -> Result {
      Result(
        record: record, id: id, problems: problems.count, missingSources: problems.missing,
        baseName: base?.snapshot.record.name)
    }
    guard let lease else { return result(nil) }
    let proof = SnapshotProof(repository: repository, uses: uses, listings: listings(repository, options))
    try proof.run(record)
    // Until now, too: it may be what has ended a stream.
    try progress.throwIfStopped()
    try repository.requireCurrentKeys()
    let id = try store(&record, repository, catalog, lease, proof)
    // From now on the snapshot is finished for everybody. The lease is held while segments are joined: what a prune takes
    // out of the index meanwhile would come back with those that were read before.
    // When this fails (in a store that lets nothing be deleted, say), the next run tries again.
    let isFinished = (try? lease.announce(nil)) != nil
    repository.remember(id, record.sequence)
    if isFinished { try? repository.mergeIndexSegments() }
    return result(id)
  }

  /// Stores the record and proves the snapshot when others can see it; takes it back when that fails.
  private static func store(
    _ record: inout SnapshotRecord, _ repository: Repository, _ catalog: SnapshotCatalog, _ lease: Lease,
    _ proof: SnapshotProof
  ) throws -> ObjectID {
    var announced: ObjectID?
    do {
      let id = try SnapshotCommit.store(&record, repository, catalog) { (id) throws(YesterError) in
        try lease.announce(id)
        announced = id
      }
      // Whoever takes keys out of force looks for records that came meanwhile, but not for ever.
      try repository.requireCurrentKeys()
      try proof.run(record)
      return id
    } catch {
      // It may be there although storing it has failed.
      guard let announced else { throw error }
      do throws(YesterError) {
        try repository.takeBack(
          announced, writer: repository.keyring.writer.publicKey, sequence: record.sequence)
      } catch {
        // Nobody builds on it for as long as the lease says that it is unproven.
        lease.abandon()
        throw YesterError(
          .failed,
          "The snapshot \(record.name) may be stored, but was not proven to have all that it needs (\(error.message))",
          advice: "Run the command again. \"yester prune\" with a full key proves that snapshot, or takes it back.")
      }
      throw error
    }
  }

  /// From which the listings that were just stored can be read.
  private static func listings(_ repository: Repository, _ options: SnapshotOptions) -> (any ChunkSource)? {
    if repository.keyring.role == .full { return repository.reader }
    let path = LocalListings.path(repository, host: options.host, plan: options.plan)
    return LocalListings.Source(repository, path: path)
  }
}
