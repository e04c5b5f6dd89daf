// What the tests of this module share.
import Platform
import RepositoryFormat
import TestSupport
import Testing

let testRepository = RepositoryID((0..<16).map { UInt8($0) })
let testRoot = (0..<32).map { UInt8($0) }

/// What `Mirror` sees of a value, all stored properties at every depth: equal for equal values of any type.
func dumped<Value>(_ value: Value) -> String {
  var text = ""
  dump(value, to: &text)
  return text
}

extension PackDirectory {
  /// Where the blocks end, in a pack that they begin in at the right offset.
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
