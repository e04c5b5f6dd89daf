internal import Platform

/// SplitMix64 (Steele et al., OOPSLA 2014). `YESTER_TEST_SEED` repeats a run; failures print the seed.
package struct SeededGenerator: RandomNumberGenerator {
  package static let seed =
    System.environment("YESTER_TEST_SEED").flatMap { UInt64($0) } ?? UInt64.random(in: .min ... .max)
  private var state: UInt64

  package init(seed: UInt64 = SeededGenerator.seed) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// The generator's numbers as little-endian bytes.
  package mutating func bytes(_ count: Int) -> [UInt8] {
    var words = (0..<((count + 7) / 8)).map { _ in next().littleEndian }
    return words.withUnsafeMutableBytes { Array($0.prefix(count)) }
  }
}
