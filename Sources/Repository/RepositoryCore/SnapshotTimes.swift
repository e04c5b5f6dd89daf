internal import Platform
internal import RepositoryFormat

/// Why a snapshot's time cannot be right: the clock of its machine was wrong, or its writer lies.
package enum TimeDoubt: Sendable, CustomStringConvertible {
  case future
  /// It began after its end, or years before it.
  case length
  /// Its writer stored it between snapshots of other times.
  case order

  package var description: String {
    switch self {
    case .future: "its time is in the future"
    case .length: "it claims to have taken years, or to have ended before it began"
    case .order: "its time does not fit those of the snapshots that its writer made before and after it"
    }
  }
}

extension SnapshotCatalog {
  /// Clocks, and a run beside another, may differ by this much.
  private static let toleranceSeconds: Int64 = 86_400
  private static let lengthSecondsMax: Int64 = 366 * 86_400

  /// Snapshots whose times count for nothing: neither as the newest of anything, nor as the oldest.
  ///
  /// The numbers of a chain tell in which order its snapshots were stored, and no clock. Where times contradict it, the
  /// largest number of them that agree with it is believed, and whatever is further than a day outside is not.
  func doubtfulTimes(now: Timestamp) -> [ObjectID: TimeDoubt] {
    var doubts: [ObjectID: TimeDoubt] = [:]
    var chains: [[UInt8]: [CatalogedSnapshot]] = [:]
    for snapshot in snapshots {
      let (start, end) = (snapshot.record.start.seconds, snapshot.record.end.seconds)
      if max(start, end) > now.seconds.clampedSum(Self.toleranceSeconds) {
        doubts[snapshot.id] = .future
      } else if start > end.clampedSum(Self.toleranceSeconds) || end > start.clampedSum(Self.lengthSecondsMax) {
        doubts[snapshot.id] = .length
      } else {
        chains[snapshot.envelope.writer, default: []].append(snapshot)
      }
    }
    for chain in chains.values {
      let inOrder = chain.sorted { ($0.record.sequence, $0.record.end) < ($1.record.sequence, $1.record.end) }
      let ends = inOrder.map(\.record.end.seconds)
      for (snapshot, fits) in zip(inOrder, Self.fitting(ends)) where !fits { doubts[snapshot.id] = .order }
    }
    return doubts
  }

  /// Which of these times can be those of one clock that never went back by more than the tolerance.
  private static func fitting(_ times: [Int64]) -> [Bool] {
    let believed = longestRise(times)
    // The latest of those believed before each place, and the earliest behind it.
    var before: [Int64] = []
    var latest = Int64.min
    for (time, isBelieved) in zip(times, believed) {
      before.append(latest)
      if isBelieved { latest = max(latest, time) }
    }
    var out = [Bool](repeating: true, count: times.count)
    var earliest = Int64.max
    for index in times.indices.reversed() {
      let time = times[index]
      out[index] =
        time.clampedSum(toleranceSeconds) >= before[index] && time <= earliest.clampedSum(toleranceSeconds)
      if believed[index] { earliest = min(earliest, time) }
    }
    return out
  }

  /// Marks a longest subsequence that never falls (patience sorting; Fredman 1975). It is looked for from the end, so
  /// that of two times that contradict each other the later one is believed: clocks start in the past.
  private static func longestRise(_ times: [Int64]) -> [Bool] {
    // Of each length the index at which a subsequence of that length begins with the largest time.
    var heads: [Int] = []
    var next: [Int?] = Array(repeating: nil, count: times.count)
    for index in times.indices.reversed() {
      // The first length whose time is smaller: the times of `heads` fall, equal ones allowed.
      var (low, high) = (0, heads.count)
      while low < high {
        let middle = (low + high) / 2
        if times[heads[middle]] < times[index] { high = middle } else { low = middle + 1 }
      }
      next[index] = low > 0 ? heads[low - 1] : nil
      if low < heads.count { heads[low] = index } else { heads.append(index) }
    }
    var out = [Bool](repeating: false, count: times.count)
    var at = heads.last
    while let index = at {
      out[index] = true
      at = next[index]
    }
    return out
  }
}

extension Sequence<CatalogedSnapshot> {
  /// Without those whose times cannot be right; with them, when there is nothing else.
  package var withCredibleTimes: [CatalogedSnapshot] {
    let credible = filter { $0.timeDoubt == nil }
    return credible.isEmpty ? Array(self) : credible
  }
}
