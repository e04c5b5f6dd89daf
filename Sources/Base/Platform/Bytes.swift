internal import Glibc

/// A block of memory with one owner at a time: the currency of the byte loop, where arrays would copy.
///
/// `@unchecked Sendable`: a filled buffer is handed from one thread to the next and is no longer written by the
/// first; shared ones are only read.
package final class Bytes: @unchecked Sendable {
  package let base: UnsafeMutableRawPointer
  package let capacity: Int
  /// How many bytes, from the beginning, hold data.
  package var count: Int
  /// Where the memory goes in the end; nil: back to the system.
  private let pool: BytesPool?

  package init(capacity: Int) {
    base = .allocate(byteCount: max(capacity, 1), alignment: 64)
    self.capacity = capacity
    count = 0
    pool = nil
  }

  /// Memory that `pool` lends.
  init(_ base: UnsafeMutableRawPointer, capacity: Int, of pool: BytesPool) {
    self.base = base
    self.capacity = capacity
    count = 0
    self.pool = pool
  }

  package convenience init(_ source: UnsafeRawBufferPointer) {
    self.init(capacity: source.count)
    append(source)
  }

  package convenience init(_ source: [UInt8]) {
    self.init(capacity: source.count)
    source.withUnsafeBytes { append($0) }
  }

  deinit {
    if let pool { pool.giveBack(base, capacity: capacity) } else { base.deallocate() }
  }

  /// What it holds. Only a call keeps the memory for as long as it is used: an object goes with its last mention, and
  /// the memory with it, or to somebody else.
  package func withFilled<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    defer { withExtendedLifetime(self) {} }
    return try body(UnsafeRawBufferPointer(start: base, count: count))
  }

  /// The first `count` bytes, to be written.
  package func withRoom<Result, Failure: Error>(
    _ count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    precondition(count <= capacity, "no room in the buffer")
    defer { withExtendedLifetime(self) {} }
    return try body(UnsafeMutableRawBufferPointer(start: base, count: count))
  }

  package var whole: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: base, count: capacity) }
  package var free: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: base + count, count: capacity - count)
  }

  /// Appends bytes; there must be room for them.
  package func append(_ source: UnsafeRawBufferPointer) {
    precondition(source.count <= capacity - count, "no room in the buffer")
    if let from = source.baseAddress { (base + count).copyMemory(from: from, byteCount: source.count) }
    count += source.count
  }
}

/// A part of a `Bytes` that keeps the whole alive.
package struct BytesSlice: Sendable {
  package let owner: Bytes
  package let offset: Int
  package let count: Int

  package init(_ owner: Bytes, offset: Int, count: Int) {
    precondition(offset >= 0 && count >= 0 && offset + count <= owner.count, "slice outside of its buffer")
    self.owner = owner
    self.offset = offset
    self.count = count
  }

  /// The bytes, for as long as somebody else holds the slice; `withBytes` holds it itself.
  package var raw: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: owner.base + offset, count: count) }

  package func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    defer { withExtendedLifetime(owner) {} }
    return try body(raw)
  }

  /// The same bytes in memory of their own.
  package func copy() -> BytesSlice {
    let bytes = withBytes { Bytes($0) }
    return BytesSlice(bytes, offset: 0, count: count)
  }

  /// A part of it.
  package func part(_ range: Range<Int>) -> BytesSlice {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "part outside of its slice")
    return BytesSlice(owner, offset: offset + range.lowerBound, count: range.count)
  }
}

extension UnsafeRawBufferPointer {
  /// Compares as unsigned bytes, a prefix before what it begins: the order of names everywhere in yester.
  package func precedes(_ other: UnsafeRawBufferPointer) -> Bool { compare(other) < 0 }

  package func compare(_ other: UnsafeRawBufferPointer) -> Int {
    let shared = Swift.min(count, other.count)
    if shared > 0, let a = baseAddress, let b = other.baseAddress {
      let order = memcmp(a, b, shared)
      if order != 0 { return Int(order) }
    }
    return count - other.count
  }

  package func equals(_ other: [UInt8]) -> Bool { other.withUnsafeBytes { compare($0) == 0 } }
  package func equals(_ other: UnsafeRawBufferPointer) -> Bool { count == other.count && compare(other) == 0 }
}

extension [UInt8] {
  package func precedes(_ other: [UInt8]) -> Bool {
    withUnsafeBytes { a in other.withUnsafeBytes { a.precedes($0) } }
  }
}
