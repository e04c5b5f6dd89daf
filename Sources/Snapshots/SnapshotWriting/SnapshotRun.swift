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
    let lease = options.isDryRun ? nil : try Lease.take(repository, .backup)
    defer { lease?.release() }
    let catalog = try repository.readCatalog()
    try repository.readCondemned()
    // What a lost pack held is stored again where the source still has it.
    _ = try repository.index.avoidMissingPacks()
    let sources = source.names
    for (_, error) in repository.index.current.unusable where error.code == .damaged {
      problems.tell(
        ofDamage: error.message + "; what only this part of the index knew is stored again. Run \"yester repair "
          + "--rebuild-index\" with a full key")
    }
    let base = BaseTree.choose(repository, catalog, options, sources: sources) { problems.tell(ofDamage: $0) }
    if let counts = base?.snapshot.record.counts {
      progress.setTotals(entries: counts.entries, bytes: counts.bytes)
    }
    let start = Timestamp.now()
    let writer = try SnapshotWriter(repository, options, base, progress, listing, problems)
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
    if options.isDryRun { return result(nil) }
    try lease?.requireHeld()
    // Until now, too: it may be what has ended a stream.
    try progress.throwIfStopped()
    try repository.requireCurrentKeys()
    let id = try SnapshotCommit.store(&record, repository, catalog)
    // Whoever takes keys out of force looks for records that came meanwhile, but not for ever.
    try repository.requireCurrentKeys()
    // Had the lease been lost in the last moment, the snapshot might lack something: better said than assumed.
    try lease?.requireHeld()
    // The snapshot is complete. When this fails (a store that lets nothing be deleted, say), the next run tries again.
    try? repository.mergeIndexSegments()
    return result(id)
  }
}
