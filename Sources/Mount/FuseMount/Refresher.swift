internal import Platform
internal import SnapshotTree

/// Looks for new and removed snapshots, when somebody asks.
///
/// There is no timer: requests about what may change (the root, for which the kernel asks again after a second) lead
/// to a refresh when the last one is old. So a mount nobody looks at does nothing, and one that is looked at shows
/// the answer of after the refresh, not before, unless the store is slow to answer. The kernel is told later, by a
/// thread of its own: a notification waits for the directory's lock, which the client holds whose request is being
/// handled.
final class Refresher: Sendable {
  private struct State {
    var last: Int64
    var isRunning = false
    var isEnding = false
    /// Counts the refreshes that brought a change.
    var epoch: UInt64 = 0
    /// When the last of them was.
    var changed = Timestamp(seconds: .min)
  }

  /// With the second for which the kernel believes an answer, changes are seen after 1.8 s at the latest.
  private static let intervalNanoseconds: Int64 = 800_000_000
  /// What a request waits for a refresh. A store that hangs must not take the mount with it.
  private static let patienceMilliseconds = 250

  private let model: any FileSystemModel
  private let notifier: Notifier
  private let state = Monitor(State(last: System.bootClock))

  init(model: any FileSystemModel, notifier: Notifier) {
    self.model = model
    self.notifier = notifier
  }

  /// Refreshes when it is time; true when something has changed. While a refresh goes on, all others are answered
  /// with what is known.
  func refreshIfDue() -> Bool {
    let now = System.bootClock
    let before = state.withLock { state -> UInt64? in
      guard !state.isRunning, !state.isEnding, now - state.last >= Self.intervalNanoseconds else { return nil }
      state.isRunning = true
      return state.epoch
    }
    guard let before else { return false }
    guard Worker(ifThereIsRoom: "yfs-refresh", { [self] in refresh() }) != nil else {
      state.update {
        $0.isRunning = false
        $0.last = now
      }
      return false
    }
    let after = state.wait(milliseconds: Self.patienceMilliseconds) { $0.isRunning ? nil : $0.epoch }
    return after.map { $0 != before } ?? false
  }

  private func refresh() {
    var names: [[UInt8]] = []
    do throws(Errno) {
      names = try model.refresh()
    } catch {
      DriverLog.write(.warning, "the list of snapshots could not be read again: \(error)")
    }
    // Before it counts as done: afterwards the mount may end at any moment.
    if !names.isEmpty { notifier.forget(names) }
    state.update { state in
      state.isRunning = false
      state.last = System.bootClock
      guard !names.isEmpty else { return }
      state.epoch += 1
      state.changed = Timestamp.now()
    }
  }

  /// No refresh begins any more; false when one is still under way after `milliseconds`.
  func stop(milliseconds: Int) -> Bool {
    state.withLock { $0.isEnding = true }
    return state.wait(milliseconds: milliseconds) { $0.isRunning ? nil : true } ?? false
  }

  /// When the snapshots changed last, as far as this mount has seen.
  var lastChange: Timestamp { state.withLock { $0.changed } }
}
