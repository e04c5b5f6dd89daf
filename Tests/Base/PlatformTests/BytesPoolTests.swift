@testable import Platform
import Testing

@Suite struct BytesPoolTests {
  @Test func memoryIsUsedAgain() {
    let pool = BytesPool(size: 1 << 20)
    var first: Bytes? = pool.take(capacity: 300_000)
    let base = first?.base
    first = nil
    #expect(pool.take(capacity: 200_000).base == base)
  }

  /// What lies between two holes joins them when it comes back: otherwise the pool would crumble.
  @Test func holesJoin() {
    let pool = BytesPool(size: 384 << 10)
    var pieces: [Bytes?] = (0..<3).map { _ in pool.take(capacity: 128 << 10) }
    let start = pieces[0]?.base
    for index in [0, 2, 1] { pieces[index] = nil }
    #expect(pool.take(capacity: 384 << 10).base == start)
  }

  @Test func whatFindsNoRoomComesFromTheHeap() {
    let pool = BytesPool(size: 128 << 10)
    let inside = pool.take(capacity: 128 << 10)
    let outside = pool.take(capacity: 128 << 10)
    #expect(outside.base != inside.base && outside.capacity == 128 << 10)
    outside.append(UnsafeRawBufferPointer(outside.whole))
    #expect(outside.count == 128 << 10)
  }

  @Test func piecesNeverOverlap() {
    var random = SystemRandomNumberGenerator()
    let seed = random.next()
    var generator = Generator(state: seed)
    let pool = BytesPool(size: 4 << 20)
    var held: [(buffer: Bytes, mark: UInt8)] = []
    for step in 0..<3000 {
      if held.count > 12 || (!held.isEmpty && Bool.random(using: &generator)) {
        let (buffer, mark) = held.remove(at: Int.random(in: held.indices, using: &generator))
        #expect(UnsafeRawBufferPointer(buffer.whole).allSatisfy { $0 == mark }, "seed \(seed), step \(step)")
      } else {
        let buffer = pool.take(capacity: Int.random(in: 1...(1 << 19), using: &generator))
        let mark = UInt8(truncatingIfNeeded: step)
        buffer.base.initializeMemory(as: UInt8.self, repeating: mark, count: buffer.capacity)
        held.append((buffer, mark))
      }
    }
  }

  private struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state ^ (state >> 29)
    }
  }
}
