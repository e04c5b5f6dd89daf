internal import Platform
internal import Reporting
internal import RepositoryFormat

/// Two listings side by side, without the parts that they share: where both stand in front of the same object,
/// both go past it. The cost is that of what differs, not that of the directory.
struct ListingPair {
  enum Step {
    case onlyOld(Entry)
    case onlyNew(Entry)
    /// One name in both; the entries may still be equal.
    case both(Entry, Entry)
  }

  /// Nil where a side has no such directory.
  private var old: ListingCursor?
  private var new: ListingCursor?

  init(old: ListingCursor?, new: ListingCursor?) {
    self.old = old
    self.new = new
  }

  /// Nil at the end of both.
  mutating func next() throws(YesterError) -> Step? {
    while true {
      switch (old?.next, new?.next) {
      case (let a?, let b?):
        if a.id == b.id {
          old?.skip()
          new?.skip()
          continue
        }
        try open(a, b)
      case (let a?, nil):
        if let position = new?.position, try Self.name(position, isBefore: a.firstName) {
          return .onlyNew(try takeNew(position))
        }
        try old?.open()
      case (nil, let b?):
        if let position = old?.position, try Self.name(position, isBefore: b.firstName) {
          return .onlyOld(try takeOld(position))
        }
        try new?.open()
      case (nil, nil):
        return try step()
      }
    }
  }

  /// Opens the one that begins earlier, or else the higher one, whose children can then be compared with the other.
  private mutating func open(_ a: ListingCursor.Pending, _ b: ListingCursor.Pending) throws(YesterError) {
    let order = a.firstName.withUnsafeBytes { x in b.firstName.withUnsafeBytes { x.compare($0) } }
    let opensOld = order < 0 || (order == 0 && a.total >= b.total)
    let opensNew = order > 0 || (order == 0 && b.total >= a.total)
    if opensOld { try old?.open() }
    if opensNew { try new?.open() }
  }

  /// Both are inside of leaves, or at their ends.
  private mutating func step() throws(YesterError) -> Step? {
    switch (old?.position, new?.position) {
    case (nil, nil): return nil
    case (let a?, nil): return .onlyOld(try takeOld(a))
    case (nil, let b?): return .onlyNew(try takeNew(b))
    case (let a?, let b?):
      let order = try Self.name(a).compare(try Self.name(b))
      if order < 0 { return .onlyOld(try takeOld(a)) }
      if order > 0 { return .onlyNew(try takeNew(b)) }
      return .both(try takeOld(a), try takeNew(b))
    }
  }

  private mutating func takeOld(_ position: (leaf: Leaf, index: Int)) throws(YesterError) -> Entry {
    old?.advance()
    return try Self.entry(position)
  }
  private mutating func takeNew(_ position: (leaf: Leaf, index: Int)) throws(YesterError) -> Entry {
    new?.advance()
    return try Self.entry(position)
  }

  private static func entry(_ position: (leaf: Leaf, index: Int)) throws(YesterError) -> Entry {
    do {
      return try position.leaf.entry(position.index)
    } catch {
      throw YesterError.damaged("A listing", error)
    }
  }
  private static func name(_ position: (leaf: Leaf, index: Int)) throws(YesterError) -> UnsafeRawBufferPointer {
    do {
      return try position.leaf.name(position.index)
    } catch {
      throw YesterError.damaged("A listing", error)
    }
  }
  private static func name(_ position: (leaf: Leaf, index: Int), isBefore other: [UInt8]) throws(YesterError) -> Bool {
    let name = try name(position)
    return other.withUnsafeBytes { name.precedes($0) }
  }
}
