internal import Platform
internal import RepositoryCore
internal import RepositoryFormat
package import SnapshotTree
internal import Synchronization

/// How many nodes of each view the kernel holds: whoever has something open in a snapshot, or works in one of its
/// directories, keeps it that way.
///
/// The driver does not hear of opens. But of a snapshot that was removed the kernel is told to forget the name, and with
/// that it drops all below that nobody uses: what is left is in use, or was in use at that moment.
final class HeldViews: Sendable {
  private let counts = Mutex<[UInt64: Int]>([:])

  /// Views of which nothing is held any more.
  func change(_ changes: [HoldChange]) -> [UInt64] {
    counts.withLock { counts in
      var ended: [UInt64] = []
      for change in changes {
        let view = NodeNumber.view(change.node)
        guard Self.keepsSnapshots(view) else { continue }
        let count = (counts[view] ?? 0) + change.count
        counts[view] = count == 0 ? nil : count
        if count == 0 { ended.append(view) }
      }
      return ended
    }
  }

  var views: [UInt64] { counts.withLock { $0.filter { $0.value > 0 }.map(\.key) } }

  /// What stands in `.yester` only leads to versions, and holds nothing.
  private static func keepsSnapshots(_ view: UInt64) -> Bool {
    switch NodeNumber.role(ofView: view) {
    case .snapshot, .day, .union: view != 0
    case .versions, .versionLink, nil: false
    }
  }
}

extension Namespace {
  package func didChangeHolds(_ changes: [HoldChange]) {
    let ended = held.change(changes)
    // The last one has left a snapshot that was removed: whoever waits for that need not wait for the next renewal.
    if !ended.isEmpty, state.withLock({ state in ended.contains { Self.isRemoved($0, state) } }) {
      lease?.renewSoon()
    }
  }

  /// A day: see `isRemoved`.
  private static let heldNanosecondsMax: Int64 = 86_400_000_000_000

  /// Of a snapshot that was removed, for as long as something may be open in it. What was in use then and is not any more
  /// the kernel forgets when it needs the memory, so that this has an end.
  private static func isRemoved(_ view: UInt64, _ state: State) -> Bool {
    func isRemoved(_ id: ObjectID) -> Bool {
      guard !state.present.contains(id) else { return false }
      return System.bootClock - (state.removed[id] ?? 0) < heldNanosecondsMax
    }
    if let (union, _) = state.table.unions[view] { return union.members.contains { isRemoved($0.id) } }
    return state.table.snapshots[NodeNumber.origin(ofView: view)].map { isRemoved($0.id) } ?? false
  }

  /// Something is open in a snapshot that was removed.
  private var usesRemoved: Bool {
    let views = held.views
    return state.withLock { state in views.contains { Self.isRemoved($0, state) } }
  }

  private static let forgettingTries = 20
  private static let forgettingNanoseconds: Int64 = 100_000_000

  /// Lets go of snapshots that were removed: they vanish from the mount, and the kernel forgets what nobody uses of them.
  /// The number of the list when nothing is in use that may need its packs, otherwise 0.
  func letGo(of list: CondemnedList) -> UInt64 {
    guard let names = try? takeInChanges() else { return 0 }
    if !names.isEmpty { tell(names) }
    for _ in 0..<Self.forgettingTries {
      if !usesRemoved {
        // What was copied out of condemned packs is found in its new place from now on.
        return (try? repository.index.refresh()) == nil ? 0 : list.number
      }
      System.sleep(nanoseconds: Self.forgettingNanoseconds)
    }
    return 0
  }

  private func tell(_ names: [[UInt8]]) { forgetter.withLock { $0 }?(names) }

  package func begin(forget: @escaping @Sendable ([[UInt8]]) -> Void) { forgetter.withLock { $0 = forget } }
}
