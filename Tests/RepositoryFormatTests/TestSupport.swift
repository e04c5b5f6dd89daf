// What the tests of this module share.
import Platform
import RepositoryFormat
import Testing

/// SplitMix64 (Steele et al., OOPSLA 2014). `YESTER_TEST_SEED` repeats a run.
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

let testRepository = RepositoryID((0..<16).map { UInt8($0) })

/// What `Mirror` sees of a value, all stored properties at every depth: equal for equal values of any type.
func dumped<Value>(_ value: Value) -> String {
  var text = ""
  dump(value, to: &text)
  return text
}

extension PackDirectory {
  /// Where the blocks end, in a pack that they begin in at the right place.
  var blocksEnd: Int { blocks.reduce(PackLayout.headerSize) { $0 + Int($1.sealedLength) } }
}

extension Leaf {
  convenience init(_ bytes: [UInt8], isRoot: Bool = false) throws(FormatError) {
    try self.init(BytesSlice(Bytes(bytes), offset: 0, count: bytes.count), isRoot: isRoot)
  }
}

extension Branch {
  init(_ bytes: [UInt8]) throws { self = try bytes.withUnsafeBytes { try Branch(decoding: $0) } }
}

extension ContentList {
  init(_ bytes: [UInt8], covering size: UInt64) throws {
    self = try bytes.withUnsafeBytes { try ContentList(decoding: $0, covering: size) }
  }
}

func leaf(_ entries: [Entry]) -> [UInt8] {
  var builder = LeafBuilder()
  for entry in entries { builder.append(entry) }
  return builder.finish()
}
