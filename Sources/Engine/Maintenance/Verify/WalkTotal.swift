internal import Platform
internal import RepositoryCore
internal import RepositoryFormat

/// How many entries a walk over several snapshots will meet, when it goes into no directory twice: all of the first of
/// a chain, and of those based on it the directories in which something changed, of usual size. When snapshots before held
/// more than that, so will the others.
struct WalkTotal {
  private var expected: [(entries: UInt64, isBased: Bool)] = []
  private var done: UInt64 = 0
  private var basedExpected: UInt64 = 0
  private var basedDone: UInt64 = 0
  private var next = 0

  /// What a snapshot's record says; any numbers.
  struct Walk {
    let counts: SnapshotCounts
    /// On one that is walked before it.
    let isBased: Bool
  }

  init(_ snapshots: [CatalogedSnapshot]) {
    var earlier: Set<ObjectID> = []
    var walks: [Walk] = []
    for snapshot in snapshots {
      walks.append(
        Walk(counts: snapshot.record.counts, isBased: snapshot.record.base.map(earlier.contains) ?? false))
      earlier.insert(snapshot.id)
    }
    self.init(walks)
  }

  init(_ walks: [Walk]) {
    for walk in walks {
      let (counts, isBased) = (walk.counts, walk.isBased)
      let changed = counts.added.clampedSum(counts.modified).clampedSum(1)
      let perDirectory = counts.entries / max(1, counts.directories)
      let (touched, isHuge) = changed.multipliedReportingOverflow(by: max(1, perDirectory))
      expected.append((isBased && !isHuge ? min(touched, counts.entries) : counts.entries, isBased))
    }
  }

  /// The next snapshot was walked; `entries` were met in it.
  mutating func didWalk(entries: UInt64) {
    done.addClamped(entries)
    if expected[next].isBased {
      basedExpected.addClamped(expected[next].entries)
      basedDone.addClamped(entries)
    }
    next += 1
  }

  var entries: UInt64 {
    let more = basedExpected > 0 ? max(1, Double(basedDone) / Double(basedExpected)) : 1
    return expected[next...].reduce(done) { sum, snapshot in
      sum.clampedSum(snapshot.isBased ? UInt64(clamping: Double(snapshot.entries) * more) : snapshot.entries)
    }
  }
}
