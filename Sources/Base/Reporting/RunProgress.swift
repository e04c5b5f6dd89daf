package import Platform
internal import Synchronization

/// What a long run is doing, where that is not all the same.
package enum RunPhase: String, Sendable {
  /// Storing what the workers and the index still hold when everything was read.
  case finish
  /// Comparing a snapshot with what is there.
  case compare
  /// Proving that what will be needed is sound.
  case prove
  case restore
  case verify
  /// Finding out what the snapshots need.
  case mark
  /// Copying what is needed out of packs that are given up.
  case copy
  case delete
}

/// How far a long run is; read by whoever shows it while the run goes on.
package final class RunProgress: Sendable {
  /// Numbers count from the beginning of the phase.
  package struct Numbers: Sendable {
    /// Nil for the main part of a run, or its only one.
    package var phase: RunPhase?
    /// How many phases there were before.
    package var phaseNumber = 0
    package var entries: UInt64 = 0
    /// Bytes that were worked on.
    package var bytes: UInt64 = 0
    /// Bytes that are done and took no work: of files that did not change, of holes.
    package var skippedBytes: UInt64 = 0
    package var entriesTotal: UInt64?
    package var bytesTotal: UInt64?
    package var path: [UInt8] = []
    package init() {}

    package var allBytes: UInt64 { bytes.clampedSum(skippedBytes) }
  }
  private let entries = Atomic<UInt64>(0)
  private let bytes = Atomic<UInt64>(0)
  private let skippedBytes = Atomic<UInt64>(0)
  private struct Rest {
    var numbers = Numbers()
    /// What was counted before the phase.
    var before = Numbers()
  }
  private let rest = Mutex(Rest())
  /// Raised to make the run stop soon.
  package let stop: CancellationFlag

  package init(stop: CancellationFlag = CancellationFlag()) { self.stop = stop }

  package var numbers: Numbers {
    rest.withLock { rest in
      var out = rest.numbers
      let now = counted
      out.entries = now.entries &- rest.before.entries
      out.bytes = now.bytes &- rest.before.bytes
      out.skippedBytes = now.skippedBytes &- rest.before.skippedBytes
      return out
    }
  }

  private var counted: Numbers {
    var out = Numbers()
    out.entries = entries.load(ordering: .relaxed)
    out.bytes = bytes.load(ordering: .relaxed)
    out.skippedBytes = skippedBytes.load(ordering: .relaxed)
    return out
  }

  /// Sums beyond 64 bits, of a few sparse files of the largest size, begin anew: only what is shown suffers.
  package func add(entries more: UInt64 = 0, bytes moreBytes: UInt64 = 0, skippedBytes moreSkipped: UInt64 = 0) {
    if more > 0 { entries.wrappingAdd(more, ordering: .relaxed) }
    if moreBytes > 0 { bytes.wrappingAdd(moreBytes, ordering: .relaxed) }
    if moreSkipped > 0 { skippedBytes.wrappingAdd(moreSkipped, ordering: .relaxed) }
  }
  /// Begins a phase of its own, when nobody counts any more for the one before it. Totals are nil where they are not
  /// known; of what a phase has none, the total is 0.
  package func begin(_ phase: RunPhase, entries: UInt64?, bytes: UInt64?) {
    rest.withLock {
      $0.before = counted
      $0.numbers.phase = phase
      $0.numbers.phaseNumber += 1
      $0.numbers.entriesTotal = entries
      $0.numbers.bytesTotal = bytes
      $0.numbers.path = []
    }
  }
  package func setTotals(entries: UInt64?, bytes: UInt64?) {
    rest.withLock {
      $0.numbers.entriesTotal = entries
      $0.numbers.bytesTotal = bytes
    }
  }
  package func setPath(_ path: [UInt8]) { rest.withLock { $0.numbers.path = path } }

  package func throwIfStopped() throws(Stopped) {
    if stop.isRaised { throw Stopped() }
  }
}
