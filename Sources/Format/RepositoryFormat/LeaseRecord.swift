package import Platform

/// Who is at work in the repository (docs/format.md, section 8.4).
package struct LeaseRecord: Sendable, Equatable {
  package enum Purpose: UInt8, Sendable, CustomStringConvertible {
    case backup = 1
    case mount = 2
    case reclaim = 3
    case read = 4
    /// The use of a snapshot's name, while its record is written. It protects nothing.
    case name = 5
    package var description: String {
      switch self {
      case .backup: "a backup"
      case .mount: "a mount"
      case .reclaim: "reclaiming space"
      case .read: "reading"
      case .name: "naming a snapshot"
      }
    }
  }
  /// 16 random bytes.
  package var id: [UInt8]
  package var purpose: Purpose
  package var host: String
  package var bootID: String
  package var process: UInt64
  /// Clock ticks after boot at which that process started: a process number alone may be used again.
  package var processStart: UInt64
  package var sequence: UInt64
  package var since: Timestamp
  package var renewed: Timestamp
  /// The number of the last list of condemned packs whose packs its holder will use no more.
  package var seen: UInt64
  /// The record that its holder is about to store, or has stored, and has not proven to the end yet.
  package var snapshot: ObjectID?
  /// The first 8 bytes, as a big-endian number, of the ids of packs that its holder has stored or builds on, ascending:
  /// no snapshot may need them yet.
  package var packs: [UInt64]

  package init(
    id: [UInt8], purpose: Purpose, host: String, bootID: String, process: UInt64, processStart: UInt64,
    sequence: UInt64, since: Timestamp, renewed: Timestamp, seen: UInt64 = 0, snapshot: ObjectID? = nil,
    packs: [UInt64] = []
  ) {
    self.id = id
    self.purpose = purpose
    self.host = host
    self.bootID = bootID
    self.process = process
    self.processStart = processStart
    self.sequence = sequence
    self.since = since
    self.renewed = renewed
    self.seen = seen
    self.snapshot = snapshot
    self.packs = packs
  }

  package func encode() -> [UInt8] {
    var fields = RecordFields()
    fields[1] = id
    fields.set(2) { $0.u8(purpose.rawValue) }
    fields.set(3, text: host)
    fields.set(4, text: bootID)
    fields.set(5, number: process)
    fields.set(6, number: processStart)
    fields.set(7, number: sequence)
    fields.set(8, time: since)
    fields.set(9, time: renewed)
    fields.set(10, number: seen)
    fields.set(11, id: snapshot)
    fields.set(12) { out in
      for pack in packs.prefix(Limits.leasePacksMax) { withUnsafeBytes(of: pack.bigEndian) { out.raw($0) } }
    }
    return fields.encode()
  }

  package init(decoding bytes: [UInt8]) throws(FormatError) {
    let fields = try RecordFields(decoding: bytes, known: 1...12)
    guard let id = fields[1], id.count == 16, let purpose = Purpose(rawValue: fields[2]?.first ?? 0),
      let since = try fields.time(8), let renewed = try fields.time(9)
    else { throw FormatError("the lease is damaged") }
    self.init(
      id: id, purpose: purpose, host: try fields.text(3), bootID: try fields.text(4), process: try fields.number(5),
      processStart: try fields.number(6), sequence: try fields.number(7), since: since, renewed: renewed,
      seen: try fields.number(10), snapshot: try fields.id(11), packs: try Self.packs(fields))
  }

  private static func packs(_ fields: RecordFields) throws(FormatError) -> [UInt64] {
    try fields.parse(12) { (reader) throws(FormatError) in
      guard reader.remaining % 8 == 0, reader.remaining / 8 <= Limits.leasePacksMax else {
        throw FormatError("the lease is damaged")
      }
      var packs: [UInt64] = []
      packs.reserveCapacity(reader.remaining / 8)
      while !reader.isAtEnd { packs.append(UInt64(bigEndian: try reader.u64().littleEndian)) }
      guard zip(packs, packs.dropFirst()).allSatisfy({ $0 < $1 }) else { throw FormatError("the lease is damaged") }
      return packs
    } ?? []
  }
}
