package import Platform

/// The time by which wrappers of stores wait; tests have one of their own.
package struct StoreClock: Sendable {
  /// Nanoseconds since some moment in the past.
  package let now: @Sendable () -> Int64
  /// Waits for so many nanoseconds.
  package let sleep: @Sendable (Int64) -> Void

  package init(now: @escaping @Sendable () -> Int64, sleep: @escaping @Sendable (Int64) -> Void) {
    self.now = now
    self.sleep = sleep
  }

  package static let system = StoreClock(now: { System.bootClock }, sleep: { System.sleep(nanoseconds: $0) })

  private static let patience: Int64 = 50_000_000

  /// Returns at `moment`, or soon after `end` was raised.
  package func wait(until moment: Int64, unless end: CancellationFlag) {
    while !end.isRaised {
      let left = moment - now()
      if left <= 0 { return }
      sleep(min(left, Self.patience))
    }
  }
}
