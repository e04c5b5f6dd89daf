// What the tests of this module share: temporary directories that are always removed, and seeded random numbers.
import Platform

/// Runs `body` with a new directory under /tmp, and removes it with all that is in it, whatever happens.
func withTemporaryDirectory<Value>(_ body: (String) throws -> Value) throws -> Value {
  let path = "/tmp/yester-test-" + Hex.encode(System.random(8))
  try Directory.makeAll(path)
  defer { removeTree(Array(path.utf8)) }
  return try body(path)
}

private func removeTree(_ path: [UInt8]) {
  if (try? FileStatus(of: path))?.isDirectory == true {
    let names = (try? Directory.names(Descriptor.open(path, Descriptor.directoryFlags))) ?? []
    for name in names { removeTree(path + [UInt8(ascii: "/")] + name) }
    try? FileSystem.removeDirectory(path, at: nil)
  } else {
    try? FileSystem.removeFile(path, at: nil)
  }
}

/// SplitMix64 (Steele et al., OOPSLA 2014). `YESTER_TEST_SEED` repeats a run; failures print the seed.
struct SeededGenerator: RandomNumberGenerator {
  static let seed = System.environment("YESTER_TEST_SEED").flatMap { UInt64($0) } ?? UInt64.random(in: .min ... .max)
  private var state: UInt64

  init(seed: UInt64 = SeededGenerator.seed) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
