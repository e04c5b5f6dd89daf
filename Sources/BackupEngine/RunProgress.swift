package import Platform
internal import Synchronization

/// How far a long run is; read by whoever shows it while the run goes on.
package final class RunProgress: Sendable {
  package struct Numbers: Sendable {
    package var entries: UInt64 = 0
    package var bytes: UInt64 = 0
    package var entriesTotal: UInt64?
    package var bytesTotal: UInt64?
    package var path: [UInt8] = []
  }
  private let entries = Atomic<UInt64>(0)
  private let bytes = Atomic<UInt64>(0)
  private let rest = Mutex(Numbers())
  /// Raised to make the run stop soon.
  package let stop = CancellationFlag()

  package init() {}

  package var numbers: Numbers {
    var out = rest.withLock { $0 }
    out.entries = entries.load(ordering: .relaxed)
    out.bytes = bytes.load(ordering: .relaxed)
    return out
  }
  package func add(entries more: UInt64 = 0, bytes moreBytes: UInt64 = 0) {
    if more > 0 { entries.add(more, ordering: .relaxed) }
    if moreBytes > 0 { bytes.add(moreBytes, ordering: .relaxed) }
  }
  package func setTotals(entries: UInt64?, bytes: UInt64?) {
    rest.withLock {
      $0.entriesTotal = entries
      $0.bytesTotal = bytes
    }
  }
  package func setPath(_ path: [UInt8]) { rest.withLock { $0.path = path } }

  package func throwIfStopped() throws {
    if stop.isRaised { throw Stopped() }
  }
}
