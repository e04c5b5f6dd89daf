// What the tests of this module share: keys made once, and a loop over every byte.
import ChunkCodec
import Platform
import RepositoryFormat
import Testing

func hex(_ text: String) -> [UInt8] { Hex.decode(text) ?? [] }

/// Two repositories' keys, and a write-only writer of the first.
enum Keys {
  static let repository = RepositoryID(System.random(16))
  static let full = made { try Keyring.generate(repository: repository) }
  static let writeOnly = made { try full.deriving(.writeOnly) }
  static let otherWriteOnly = made { try full.deriving(.writeOnly) }
  static let otherFull = made { try full.deriving(.full) }
  /// The same repository id, but other keys: what a stranger can make who has seen the id.
  static let stranger = made { try Keyring.generate(repository: repository) }
  static let otherRepository = made { try Keyring.generate(repository: RepositoryID(System.random(16))) }

  private static func made(_ body: () throws -> Keyring?) -> Keyring {
    guard let keyring = try? body() else { preconditionFailure("keys can be made") }
    return keyring
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
