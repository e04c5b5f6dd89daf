internal import Platform
internal import SnapshotTree
internal import Synchronization

/// Looks for new and removed snapshots, when somebody asks.
///
/// There is no timer: requests about what may change (the root, for which the kernel asks again after a second) lead
/// to a refresh when the last one is old. So a mount nobody looks at does nothing, and one that is looked at shows
/// the answer of after the refresh, not before. The kernel is told later, by a thread of its own: a notification
/// waits for the directory's lock, which the client holds whose request is being handled.
final class Refresher: Sendable {
  private struct State {
    var last: Int64 = 0
    var isRunning = false
    /// Counts the refreshes that brought a change.
    var epoch: UInt64 = 0
    /// When the last of them was.
    var changed = Timestamp(seconds: .min)
  }

  /// With the second for which the kernel believes an answer, changes are seen after 1.8 s at the latest.
  private static let intervalNanoseconds: Int64 = 800_000_000

  private let model: any FileSystemModel
  private let notifier: Notifier
  private let state = Mutex(State(last: System.bootClock))

  init(model: any FileSystemModel, notifier: Notifier) {
    self.model = model
    self.notifier = notifier
  }

  /// Refreshes when it is time; true when something has changed. While one thread is at it, others go on with what
  /// is known: a slow store must not hold up everybody.
  func refreshIfDue() -> Bool {
    let now = System.bootClock
    let isMine = state.withLock { state -> Bool in
      guard !state.isRunning, now - state.last >= Self.intervalNanoseconds else { return false }
      state.isRunning = true
      return true
    }
    guard isMine else { return false }
    var names: [[UInt8]] = []
    do throws(Errno) { names = try model.refresh() } catch {
      DriverLog.write(.warning, "the list of snapshots could not be read again: \(error)")
    }
    let hasChanged = !names.isEmpty
    state.withLock { state in
      state.isRunning = false
      state.last = System.bootClock
      if hasChanged {
        state.epoch += 1
        state.changed = Timestamp.now()
      }
    }
    if hasChanged { notifier.forget(names) }
    return hasChanged
  }

  /// The number of changes so far, and when the last was.
  var news: (epoch: UInt64, changed: Timestamp) { state.withLock { ($0.epoch, $0.changed) } }
}
