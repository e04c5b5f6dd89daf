internal import ObjectStores
internal import Platform
package import Reporting
package import RepositoryCore
package import RepositoryFormat

/// Makes the index anew from the directories that lie in the packs, which are where its knowledge comes from.
///
/// It is what helps when the index was lost, damaged, or filled with lies: nothing that it said before is believed, but for
/// packs whose directories cannot be read. Of these, what full writers have said stays, and so does every segment of
/// others that tells of them: nothing good is set aside. What others store meanwhile is not touched.
package enum IndexRebuild {
  package struct Result: Sendable {
    package var packs: UInt64 = 0
    package var bytes: UInt64 = 0
    package var chunks: UInt64 = 0
    package var segmentsBefore = 0
    /// Segments that were replaced, or in a dry run would be.
    package var segmentsReplaced = 0
    /// Of these, how many could not be used.
    package var segmentsUnusable = 0
    /// Packs that no segment listed.
    package var packsFound: UInt64 = 0
    /// Packs that segments listed and that are not there.
    package var packsMissing: UInt64 = 0
    /// Packs whose directories cannot be read, and why.
    package var unreadable: [(pack: ObjectID, message: String)] = []
  }

  /// Throws error 12 while space is reclaimed, which has to know that the index stays what it is.
  package static func run(_ repository: Repository, isDryRun: Bool, progress: RunProgress) throws -> Result {
    try repository.requireFullKey("make the index anew")
    try repository.requireCurrentKeys()
    let lease = isDryRun ? nil : try Lease.take(repository, .reclaim)
    defer { lease?.release() }
    let own = lease?.id
    let other = try Leases.list(repository).first {
      !$0.isDead && $0.id != own && $0.record?.purpose == .reclaim
    }
    if let other {
      throw YesterError(
        .busy, "Space is being reclaimed: \(other)",
        advice: "Wait until that run is done.")
    }
    return try RebuildRun(repository, progress).run(isDryRun: isDryRun)
  }

  private final class RebuildRun {
    private let repository: Repository
    private let progress: RunProgress
    private var result = Result()
    private var gathered = GatheredPacks()

    init(_ repository: Repository, _ progress: RunProgress) {
      self.repository = repository
      self.progress = progress
    }

    func run(isDryRun: Bool) throws -> Result {
      // Before the packs: a segment that comes from now on stays.
      try repository.index.rebuildCache()
      let old = repository.index.current
      let missing = try repository.index.avoidMissingPacks()
      let listed = try listedPacks(old)
      result.packsMissing = UInt64(missing.count)
      result.segmentsBefore = old.segments.count + old.unusable.count
      result.segmentsUnusable = old.unusable.count
      var stored: [(id: ObjectID, size: UInt64)] = []
      try repository.store.list(.packs) { name, size in if let id = ObjectID(hex: name) { stored.append((id, size)) } }
      stored.sort { $0.id < $1.id }
      progress.setTotals(entries: UInt64(stored.count), bytes: 0)
      for (id, size) in stored {
        try progress.throwIfStopped()
        try list(id, size, isDryRun: isDryRun)
        if !listed.contains(id) { result.packsFound += 1 }
        progress.add(entries: 1)
      }
      try replace(old, stored: Set(stored.map(\.id)), isDryRun: isDryRun)
      return result
    }

    private func listedPacks(_ view: IndexView) throws -> Set<ObjectID> {
      var out: Set<ObjectID> = []
      for segment in view.segments {
        for index in 0..<segment.packCount { out.insert(try segment.pack(index).id) }
      }
      return out
    }

    private func list(_ id: ObjectID, _ size: UInt64, isDryRun: Bool) throws {
      do throws(YesterError) {
        let file = try PackFile(repository, id)
        result.packs += 1
        result.bytes += size
        result.chunks += UInt64(file.indexed.chunkCount)
        if !isDryRun { try gathered.add(file.indexed, repository) }
      } catch {
        // What one sector does not give must not keep the others from being found.
        guard error.code == .damaged || error.cause == .inputOutput else { throw error }
        // Whoever reclaims space may have deleted it since it was listed.
        if error.code == .damaged, try repository.store.size(.pack(id)) == nil { return }
        result.unreadable.append((id, error.message))
      }
    }

    /// The new segments are there before the old ones go.
    private func replace(_ old: IndexView, stored: Set<ObjectID>, isDryRun: Bool) throws {
      let unreadable = Set(result.unreadable.map(\.pack))
      // Sealed with keys that this slot does not hold: somebody else may be able to use it.
      var replaced = old.unusable.filter { $0.error.code == .damaged }.map(\.id)
      for (number, segment) in old.segments.enumerated() {
        let isNeeded =
          try !old.isBelieved(number)
          && (0..<segment.packCount).contains { unreadable.contains(try segment.pack($0).id) }
        if !isNeeded { replaced.append(segment.id) }
      }
      result.segmentsReplaced = replaced.count
      if isDryRun { return }
      try repository.replaceIndex(
        old, replaced, by: gathered, present: { stored.contains($0) }, keeping: { unreadable.contains($0) })
      try? repository.mergeIndexSegments()
    }
  }
}
