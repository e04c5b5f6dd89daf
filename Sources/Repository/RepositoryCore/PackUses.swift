package import RepositoryFormat
internal import Synchronization

/// The packs that a run builds on: those in which it found chunks that its snapshot needs, and those that it stored.
/// Before and after a snapshot's record is stored, all of them must be there and not condemned. For any thread.
package final class PackUses: Sendable {
  private struct State {
    var packs: Set<ObjectID> = []
    /// Chunks that are looked up one after the other mostly lie in one pack.
    var last = ObjectID.zero
    var announcer: (@Sendable () -> Void)?
  }
  private let state = Mutex(State())

  package init() {}

  package func add(_ pack: ObjectID) {
    state.withLock { state in
      guard state.last != pack else { return }
      state.last = pack
      state.packs.insert(pack)
    }
  }

  /// What is called before packs that were stored come into the index: nobody may take them for unneeded.
  package func setAnnouncer(_ announcer: @escaping @Sendable () -> Void) {
    state.withLock { $0.announcer = announcer }
  }
  /// Announces what another has as well.
  package func announce(with other: PackUses) {
    for pack in other.packs { add(pack) }
    announce()
  }
  func announce() { state.withLock { $0.announcer }?() }

  /// As a lease names them.
  var prefixes: [UInt64] { Set(packs.map(\.w0)).sorted() }

  /// From now on those that `other` has.
  package func replace(by other: PackUses) {
    let packs = other.packs
    state.withLock { state in
      state.packs = packs
      state.last = .zero
    }
  }

  package var packs: Set<ObjectID> { state.withLock { $0.packs } }

  /// The last list none of whose packs is used.
  package func letGo(of list: CondemnedList) -> UInt64 {
    let numbers = state.withLock { state in
      // Whichever is smaller is gone through.
      state.packs.count < list.packs.count
        ? state.packs.compactMap { list.packs[$0]?.list }
        : list.packs.compactMap { state.packs.contains($0.key) ? $0.value.list : nil }
    }
    return numbers.min().map { $0 - 1 } ?? list.number
  }
}
