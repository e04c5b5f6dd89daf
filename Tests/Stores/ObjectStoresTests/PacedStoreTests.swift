import ObjectStores
import Platform
import Reporting
import RepositoryFormat
import TestSupport
import Testing

@Suite struct PacedStoreTests {
  private func seconds(until end: CancellationFlag = CancellationFlag(), _ body: (PacedStore) throws -> Void) rethrows
    -> Double
  {
    let clock = TestClock()
    try body(PacedStore(MemoryStore(), bytesPerSecond: 1000, until: end, clock: clock.clock))
    return Double(clock.waits.reduce(0, +)) / 1e9
  }

  @Test func whatIsWrittenWaitsForWhatWasWrittenBefore() throws {
    #expect(
      try seconds { store in
        try store.put(.config, [UInt8](repeating: 0, count: 2000))
        let upload = try store.beginUpload()
        try [UInt8](repeating: 0, count: 500).withUnsafeBytes { try upload.append($0) }
        try [UInt8]([1]).withUnsafeBytes { try upload.append($0) }
        try upload.commit(as: .index(.zero))
      } == 2.5)
  }

  @Test func aWholeObjectGoesInPartsAtThePace() throws {
    let large = BytesContent([UInt8](repeating: 0, count: 2 << 20))
    let waited = try seconds { try $0.put(.pack(.zero), content: large) }
    #expect(waited > 1000 && waited < 1100)
  }

  @Test func readingAndLeasesAreNotHeldUp() throws {
    #expect(
      try seconds { store in
        try store.putBriefly(.lease("a"), [UInt8](repeating: 0, count: 5000))
        _ = try store.get(.lease("a"), limit: 5000)
        try store.putBriefly(.lease("b"), [1])
        try store.delete(.lease("a"))
      } == 0)
  }

  @Test func aRunThatWasToldToStopIsNotHeldUp() throws {
    let end = CancellationFlag()
    end.raise()
    #expect(
      try seconds(until: end) { store in
        for byte: UInt8 in 0..<3 {
          let id = [UInt8](repeating: byte, count: 32).withUnsafeBytes { ObjectID($0) }
          try store.put(.index(id), [UInt8](repeating: 0, count: 5000))
        }
      } == 0)
  }
}
