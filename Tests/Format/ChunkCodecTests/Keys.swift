// What the tests of this module share: keys made once, and a loop over every byte.
import ChunkCodec
import Platform
import RepositoryFormat
import TestSupport
import Testing

func hex(_ text: String) -> [UInt8] { Hex.decode(text) ?? [] }

/// Two repositories' keys, and more members of the first.
enum Keys {
  static let members = {
    var keys = TestKeys()
    for role in [KeyRole.full, .writeOnly, .writeOnly, .full] { keys.add(role) }
    return keys
  }()
  private static let all = keyrings(members)
  static var repository: RepositoryID { members.draft.repository }
  static let full = all[0]
  static let writeOnly = all[1]
  static let otherWriteOnly = all[2]
  static let otherFull = all[3]
  /// The same repository id, but other keys: what a stranger can make who has seen the id.
  static let stranger = keyrings(one(TestKeys(repository: repository)))[0]
  static let otherRepository = keyrings(one(TestKeys()))[0]
  /// The members after one rotation, in their order.
  static let rotated = {
    var keys = members
    do {
      try keys.next { try $0.rotate([:]) }
    } catch {
      preconditionFailure("keys can be rotated")
    }
    return keyrings(keys)
  }()

  private static func one(_ keys: TestKeys) -> TestKeys {
    var keys = keys
    keys.add(.full)
    return keys
  }

  private static func keyrings(_ keys: TestKeys) -> [Keyring] {
    guard let keyrings = try? keys.epoch().keyrings else { preconditionFailure("keys can be made") }
    return keyrings
  }
}

/// Whether reading `bytes` succeeds with any one byte changed, and at which offsets.
func offsetsThatMayChange(
  in bytes: [UInt8],
  _ range: Range<Int>? = nil,
  _ read: ([UInt8]) throws -> Void
) -> [Int] {
  var out: [Int] = []
  for offset in range ?? bytes.indices {
    for mask in [UInt8(1), 0x80] {
      var changed = bytes
      changed[offset] ^= mask
      if (try? read(changed)) != nil, out.last != offset { out.append(offset) }
    }
  }
  return out
}

/// Lengths at which a cut-off object is taken for a good one; also tries it with one byte more.
func lengthsTaken(of bytes: [UInt8], _ read: ([UInt8]) throws -> Void) -> [Int] {
  let all = (0..<bytes.count).map { Array(bytes[..<$0]) } + [bytes + [0]]
  return all.filter { (try? read($0)) != nil }.map(\.count)
}

extension [UInt8] {
  func contains(sequence: [UInt8]) -> Bool {
    guard sequence.count <= count else { return false }
    return (0...(count - sequence.count)).contains { Array(self[$0..<($0 + sequence.count)]) == sequence }
  }
}

let testSnapshot: SnapshotRecord = {
  let root = Entry(
    name: [],
    permissions: 0o755,
    owner: Owner(user: 0, group: 0),
    modified: Timestamp(seconds: 1),
    changed: Timestamp(seconds: 2),
    born: nil,
    linkCount: 2,
    sourceInode: 2,
    body: .directory(below: 5, listing: .zero)
  )
  var record = SnapshotRecord(root: root)
  record.name = "20261120_0930"
  record.host = "host"
  return record
}()
