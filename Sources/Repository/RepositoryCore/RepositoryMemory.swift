package import ChunkCodec
internal import Platform
package import RepositoryFormat

/// What a machine has seen of a repository and must not forget: whoever holds the store could otherwise give back an
/// earlier state of it, or cut the end of a chain, and nothing in what is left would tell.
///
/// It only grows: two memories merge to what both of them have seen.
package struct RepositoryMemory: Sendable, Equatable {
  /// Of each writer's chain the last record or note that was seen.
  package private(set) var heads: [[UInt8]: ChainHead] = [:]
  /// Of each writer the highest number of which two records were told.
  package private(set) var toldForks: [[UInt8]: UInt64] = [:]

  /// The newest epoch that was seen.
  package private(set) var epoch: EpochName?

  /// A repository has as many writers as it ever had key slots.
  private static let writersMax = 4096
  /// Of the file.
  static let sizeMax = 1 << 20
  private static let magic = Array("yester memory 1\n".utf8)

  package init() {}

  /// A head counts when it is further than the one that is known: the first of two with one number stays.
  package mutating func see(_ head: ChainHead) {
    if let known = heads[head.writer] {
      guard head.sequence > known.sequence else { return }
    } else if heads.count >= Self.writersMax {
      return
    }
    heads[head.writer] = head
  }

  package mutating func see(_ epoch: EpochName) {
    if epoch.number > self.epoch?.number ?? 0 { self.epoch = epoch }
  }

  /// Takes an epoch for the newest although a later one was seen, because somebody has said so.
  package mutating func accept(_ epoch: EpochName) { self.epoch = epoch }

  package mutating func tellFork(of writer: [UInt8], at sequence: UInt64) {
    guard toldForks[writer] != nil || toldForks.count < Self.writersMax else { return }
    toldForks[writer] = max(toldForks[writer] ?? 0, sequence)
  }

  // MARK: The file

  private enum Field {
    static let heads: UInt64 = 1
    static let toldForks: UInt64 = 2
    static let epoch: UInt64 = 3
  }

  func encode() -> [UInt8] {
    var fields = RecordFields()
    fields.set(Field.heads, heads: Array(heads.values))
    if !toldForks.isEmpty {
      fields.set(Field.toldForks) {
        $0.varint(toldForks.count)
        for (writer, sequence) in toldForks.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
          $0.raw(writer)
          $0.varint(sequence)
        }
      }
    }
    if let epoch {
      fields.set(Field.epoch) {
        $0.varint(epoch.number)
        $0.digest(epoch.digest)
      }
    }
    let content = Self.magic + fields.encode()
    return content + SHA256.hash(content).bytes
  }

  init(decoding bytes: [UInt8]) throws(FormatError) {
    let end = bytes.count - 32
    guard end >= Self.magic.count, SHA256.hash(Array(bytes[..<end])).bytes == Array(bytes[end...]) else {
      throw FormatError("it is damaged")
    }
    guard bytes.starts(with: Self.magic) else { throw FormatError("a newer yester made it", .needsNewerVersion) }
    let fields = try RecordFields(
      decoding: Array(bytes[Self.magic.count..<end]), known: Field.heads...Field.epoch)
    for head in try fields.heads(Field.heads, limit: Self.writersMax) { heads[head.writer] = head }
    epoch = try fields.parse(Field.epoch) { (reader) throws(FormatError) in
      EpochName(number: try reader.varint(), digest: try reader.digest())
    }
    toldForks =
      try fields.parse(Field.toldForks) { (reader) throws(FormatError) in
        var out: [[UInt8]: UInt64] = [:]
        for _ in 0..<(try reader.count(limit: Self.writersMax)) {
          out[try reader.array(32)] = try reader.varint()
        }
        return out
      } ?? [:]
  }
}
