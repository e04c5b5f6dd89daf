internal import Synchronization

/// Keeps values up to a total cost; when it is full, half of it goes, those not used since the last time first.
package final class CostCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  private struct Slot {
    let value: Value
    let cost: Int
    var isUsed: Bool
  }
  private struct State {
    var slots: [Key: Slot] = [:]
    var cost = 0
  }
  private let limit: Int
  private let state = Mutex(State())

  package init(limit: Int) { self.limit = limit }

  package subscript(key: Key) -> Value? {
    state.withLock { state in
      guard let index = state.slots.index(forKey: key) else { return nil }
      state.slots.values[index].isUsed = true
      return state.slots.values[index].value
    }
  }

  package func insert(_ key: Key, _ value: Value, cost: Int) {
    state.withLock { state in
      if let old = state.slots.updateValue(Slot(value: value, cost: cost, isUsed: true), forKey: key) {
        state.cost -= old.cost
      }
      state.cost += cost
      if state.cost > limit { Self.shrink(&state, to: limit / 2) }
    }
  }

  package func removeAll() {
    state.withLock { $0 = State() }
  }

  private static func shrink(_ state: inout State, to target: Int) {
    // Two rounds of "second chance": first what was not used since the last time, then whatever comes.
    for spared in [true, false] where state.cost > target {
      // Taken out and filled anew: removing while going through them would copy them all first.
      let slots = state.slots
      state.slots = [:]
      state.slots.reserveCapacity(slots.count)
      for (key, var slot) in slots {
        if state.cost > target && !(spared && slot.isUsed) {
          state.cost -= slot.cost
        } else {
          if state.cost > target { slot.isUsed = false }
          state.slots[key] = slot
        }
      }
    }
  }
}
