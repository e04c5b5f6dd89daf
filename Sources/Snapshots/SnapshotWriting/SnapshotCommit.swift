internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat

/// The end of a run: its record is described and stored under a name that nobody else has.
enum SnapshotCommit {
  /// Others may have added records meanwhile: the name must be free, and the chain must go on from its end. The name is
  /// claimed first, so that two runs that end at the same moment do not take the same. `announce` is told of the record's
  /// id before it is stored.
  static func store(
    _ record: inout SnapshotRecord, _ repository: Repository, _ catalog: SnapshotCatalog,
    announce: (ObjectID) throws(YesterError) -> Void
  ) throws -> ObjectID {
    var refused: Set<String> = []
    for _ in 0..<1000 {
      let before = try SnapshotCatalog(repository, reusing: catalog)
      record.name = name(record, before, refused)
      guard let claim = try NameClaim.take(repository, "\(record.host)/\(record.name)") else {
        refused.insert(record.name)
        continue
      }
      defer { claim.release() }
      // Another run may have stored a record of this name and given up its claim just before ours.
      let now = try SnapshotCatalog(repository, reusing: before)
      guard name(record, now, refused) == record.name else { continue }
      return try repository.store(&record, after: now, announce: announce)
    }
    throw YesterError(.busy, "No free name was found for the snapshot", advice: "Run the backup again.")
  }

  private static func name(
    _ record: SnapshotRecord, _ catalog: SnapshotCatalog, _ refused: Set<String> = []
  ) -> String {
    let taken = refused.union(catalog.snapshots.filter { $0.record.host == record.host }.map(\.record.name))
    return SnapshotNaming.choose(record.start, offset: record.utcOffset, summary: record.summary) {
      taken.contains($0)
    }
  }

  /// Fills in what the options say. The name is the one that is free now.
  static func describe(
    _ record: inout SnapshotRecord, _ options: SnapshotOptions, _ base: BaseTree?, _ catalog: SnapshotCatalog
  ) {
    record.host = options.host
    record.plan = options.plan
    record.kind = options.kind
    // The first of its plan has read everything, whatever was asked for.
    record.type = base == nil ? .full : options.type
    record.summary = options.summary
    record.creator = options.creator
    record.purpose = options.purpose
    record.notes = options.notes
    record.changeTicket = options.changeTicket
    record.tags = options.tags
    record.program = options.program
    record.utcOffset = record.start.localOffset
    record.base = base?.snapshot.id
    record.excludes = options.excludePatterns
    record.name = name(record, catalog)
  }
}
