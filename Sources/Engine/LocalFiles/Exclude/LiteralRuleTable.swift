// A hash table from byte strings to the last rule that names them. Looking up takes a buffer and allocates nothing,
// which a `Dictionary<[UInt8], _>` cannot do. `Hasher` is seeded per process, so no list of patterns can be built
// that makes its keys collide.

/// The last rule with some property, apart for rules that speak of directories only.
struct LastRule: Sendable {
  /// -1: none.
  private var ofAny: Int32 = -1
  private var ofDirectories: Int32 = -1

  mutating func add(rule: Int32, isDirectoryOnly: Bool) {
    if isDirectoryOnly { ofDirectories = rule } else { ofAny = rule }
  }

  /// The number of the rule that decides, -1 if none does.
  func rule(isDirectory: Bool) -> Int32 {
    isDirectory ? max(ofAny, ofDirectories) : ofAny
  }
}

struct LiteralRuleTable: Sendable {
  private struct Entry: Sendable {
    var start: Int
    var count: Int
    var last = LastRule()
  }

  private var pool: [UInt8] = []
  private var entries: [Entry] = []
  /// Indexes into `entries`, -1 for a free slot; a power of two of them, at most half in use.
  private var slots: [Int32] = []

  var isEmpty: Bool { entries.isEmpty }

  /// Rules come in the order of their numbers.
  mutating func add(_ key: [UInt8], rule: Int32, isDirectoryOnly: Bool) {
    if entries.count * 2 >= slots.count { grow() }
    let slot = key.withUnsafeBytes { find($0) }
    if slots[slot] < 0 {
      slots[slot] = Int32(entries.count)
      entries.append(Entry(start: pool.count, count: key.count))
      pool.append(contentsOf: key)
    }
    entries[Int(slots[slot])].last.add(rule: rule, isDirectoryOnly: isDirectoryOnly)
  }

  /// The number of the last rule for `key`, -1 if there is none.
  func lastRule(for key: UnsafeRawBufferPointer, isDirectory: Bool) -> Int32 {
    guard !entries.isEmpty else { return -1 }
    let entry = slots[find(key)]
    return entry < 0 ? -1 : entries[Int(entry)].last.rule(isDirectory: isDirectory)
  }

  /// The slot that holds `key`, or the free one where it belongs.
  private func find(_ key: UnsafeRawBufferPointer) -> Int {
    var hasher = Hasher()
    hasher.combine(bytes: key)
    var slot = hasher.finalize() & (slots.count - 1)
    while slots[slot] >= 0, !isEqual(entries[Int(slots[slot])], key) { slot = (slot + 1) & (slots.count - 1) }
    return slot
  }

  private func isEqual(_ entry: Entry, _ key: UnsafeRawBufferPointer) -> Bool {
    guard entry.count == key.count else { return false }
    return pool.withUnsafeBytes { pool in
      UnsafeRawBufferPointer(rebasing: pool[entry.start..<(entry.start + entry.count)]).elementsEqual(key)
    }
  }

  private mutating func grow() {
    slots = [Int32](repeating: -1, count: max(16, slots.count * 2))
    for (index, entry) in entries.enumerated() {
      let slot = pool.withUnsafeBytes { pool in
        find(UnsafeRawBufferPointer(rebasing: pool[entry.start..<(entry.start + entry.count)]))
      }
      slots[slot] = Int32(index)
    }
  }
}
