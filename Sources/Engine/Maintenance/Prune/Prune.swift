internal import ObjectStores
internal import ChunkCodec
package import Platform
package import Reporting
package import RepositoryCore
package import RepositoryFormat
internal import SnapshotTree

/// Gives back the space of what no snapshot needs, while others go on working.
///
/// 1. *Mark* what all snapshots need.
/// 2. *Delete* packs that an earlier run has condemned, long enough ago, and that nobody needs now.
/// 3. *Condemn* packs that nobody needs: from now on no writer builds on them. They stay readable.
/// 4. Copy what is needed out of condemned packs and out of those that are mostly unneeded; condemn the latter.
///
/// A condemnation is final: what turns out to be needed of such a pack is copied, and the pack goes all the same. A
/// snapshot that builds on a condemned pack is either there before the snapshots are listed that decide on the deletion,
/// or its writer sees the condemnation when it proves the snapshot, and takes it back. No clock and no lease decides on
/// that; these decide when, so that nobody has to begin again (docs/decisions/0020-reclaiming.md).
package enum Prune {
  package struct Options: Sendable {
    /// How much of the stored data may be unneeded before packs are rewritten, 0 to 1.
    package var unusedMax = 0.05
    /// Seconds between the condemnation of a pack and its deletion. With 0 one run does both.
    package var minimumAge = Prune.standardMinimumAge
    package var isDryRun = false
    /// Snapshots that are about to be removed: what only they need counts as unneeded. Only for a dry run.
    package var without: Set<ObjectID> = []
    /// Go on although records of snapshots are missing, and sign that they count as removed.
    package var acceptsMissingSnapshots = false
    package init() {}
  }
  package struct Result: Sendable {
    package var packsBefore = 0
    package var bytesBefore: UInt64 = 0
    package var packsRewritten = 0
    package var packsCondemned = 0
    package var packsDeleted = 0
    package var bytesFreed: UInt64 = 0
    /// Packs that a later run deletes; those for whom they wait; and from when on, in seconds since 1970, those may be
    /// deleted that wait for nobody.
    package var packsWaiting = 0
    package var waitingFor: [String] = []
    package var waitingUntil: Int64?
    /// Names of snapshots that nobody had proven, and that lack something: they were taken back.
    package var snapshotsTakenBack: [String] = []
  }
  package static let standardMinimumAge: Int64 = 3600

  /// `clock` tells how late it is.
  package static func run(
    _ repository: Repository, _ options: Options, progress: RunProgress, clock: () -> Timestamp = { .now() }
  ) throws -> Result {
    try repository.requireFullKey("reclaim space")
    let now = clock().seconds
    if options.isDryRun { return try PruneRun(repository, options, progress, lease: nil, now: now).plan() }
    try Leases.removeDead(repository)
    let lease = try takeLease(repository)
    defer { lease?.release() }
    let others = try OthersAtWork(than: lease?.id, in: repository, repository.readCondemned(), now: now)
    if let other = others.reclaiming.first {
      throw YesterError(
        .busy, "Space is being reclaimed already: \(other)", advice: "Wait until that run is done.")
    }
    return try PruneRun(repository, options, progress, lease: lease, now: now).run()
  }

  /// Nil when there is no room for one: that it is to make.
  private static func takeLease(_ repository: Repository) throws(YesterError) -> Lease? {
    do throws(YesterError) {
      return try Lease.take(repository, .reclaim)
    } catch {
      guard let cause = error.cause, [.noSpace, .overQuota].contains(cause) else { throw error }
      return nil
    }
  }
}
