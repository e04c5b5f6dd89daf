/// Arithmetic on whole shards, at the speed of memory.
package enum ShardBytes {
  private static let words = ParityLayout.shardSize / 8
  /// Chains of a sum that go on at the same time: each step waits for the one before it.
  private static let chains = 4
  /// 2^64 less this is prime; 2^64 itself leaves this over.
  private static let remainder: UInt64 = 59

  /// The sum of a shard: the number that its bytes are in little-endian order, modulo the prime 2^64 - 59. Whatever
  /// changes 63 bits in a row or fewer changes it for certain, anything else but for one time in 2^64. It is no proof
  /// against malice: that is what seals and names are for.
  package static func sum(_ shard: UnsafeRawBufferPointer) -> UInt64 {
    precondition(shard.count == ParityLayout.shardSize, "a shard has one size")
    let length = words / chains
    var (a, b, c, d): (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    var index = length
    while index > 0 {
      index -= 1
      a = step(a, word(shard, index))
      b = step(b, word(shard, index + length))
      c = step(c, word(shard, index + 2 * length))
      d = step(d, word(shard, index + 3 * length))
    }
    var sum = d
    for chain in [c, b, a] { sum = add(multiply(sum, lengthOfChain), chain) }
    return sum >= 0 &- remainder ? sum &+ remainder : sum
  }

  /// What one chain is long, as a power: 2^(64 * length), modulo the prime.
  private static let lengthOfChain: UInt64 = {
    var power: UInt64 = 1
    for _ in 0..<(words / chains) { power = step(power, 0) }
    return power
  }()

  @inline(__always)
  private static func word(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> UInt64 {
    UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index &* 8, as: UInt64.self))
  }

  /// `high` * 2^64 + `low`, as a number below 2^64.
  @inline(__always)
  private static func step(_ high: UInt64, _ low: UInt64) -> UInt64 {
    let product = high.multipliedFullWidth(by: remainder)
    let (sum, carried) = product.low.addingReportingOverflow(low)
    // Both are below 60, so that the second carry leaves next to nothing.
    let (end, again) = sum.addingReportingOverflow((product.high &+ (carried ? 1 : 0)) &* remainder)
    return again ? end &+ remainder : end
  }

  private static func multiply(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return step(product.high, product.low)
  }

  private static func add(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let (sum, carried) = a.addingReportingOverflow(b)
    return carried ? step(1, sum) : sum
  }

  /// Adds a shard to another one, bit by bit without carry.
  package static func xor(_ shard: UnsafeRawBufferPointer, into other: UnsafeMutableRawBufferPointer) {
    precondition(shard.count == ParityLayout.shardSize && other.count == shard.count, "a shard has one size")
    let step = MemoryLayout<SIMD8<UInt64>>.size
    var offset = 0
    while offset < ParityLayout.shardSize {
      let sum =
        other.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
        ^ shard.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
      other.storeBytes(of: sum, toByteOffset: offset, as: SIMD8<UInt64>.self)
      offset += step
    }
  }
}
