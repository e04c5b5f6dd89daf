package import Platform

package enum SnapshotKind: UInt8, Sendable, CaseIterable, CustomStringConvertible {
  case daily = 1
  case manual = 2
  case preChange = 3
  case restorePoint = 4
  package var description: String {
    switch self {
    case .daily: "daily"
    case .manual: "manual"
    case .preChange: "pre-change"
    case .restorePoint: "restore-point"
    }
  }
}

package enum SnapshotType: UInt8, Sendable, CaseIterable, CustomStringConvertible {
  case full = 1
  case incremental = 2
  case differential = 3
  package var description: String {
    switch self {
    case .full: "full"
    case .incremental: "incremental"
    case .differential: "differential"
    }
  }
}

/// What a snapshot holds and how it differs from its base. Bytes and numbers of entries.
package struct SnapshotCounts: Sendable, Equatable {
  package var entries: UInt64 = 0
  package var files: UInt64 = 0
  package var directories: UInt64 = 0
  package var links: UInt64 = 0
  package var others: UInt64 = 0
  package var bytes: UInt64 = 0
  package var added: UInt64 = 0
  package var modified: UInt64 = 0
  package var deleted: UInt64 = 0
  package var unchanged: UInt64 = 0
  package var unreadable: UInt64 = 0
  package var bytesRead: UInt64 = 0
  package var bytesNew: UInt64 = 0
  package var bytesStored: UInt64 = 0

  package init() {}

  func encode(to out: inout ByteWriter) {
    for number in [
      entries, files, directories, links, others, bytes, added, modified, deleted, unchanged, unreadable, bytesRead,
      bytesNew, bytesStored,
    ] { out.varint(number) }
  }
  init(_ reader: inout ByteReader) throws(FormatError) {
    entries = try reader.varint()
    files = try reader.varint()
    directories = try reader.varint()
    links = try reader.varint()
    others = try reader.varint()
    bytes = try reader.varint()
    added = try reader.varint()
    modified = try reader.varint()
    deleted = try reader.varint()
    unchanged = try reader.varint()
    unreadable = try reader.varint()
    bytesRead = try reader.varint()
    bytesNew = try reader.varint()
    bytesStored = try reader.varint()
  }
}

/// The body of a snapshot record (docs/format.md, section 8.2).
package struct SnapshotRecord: Sendable {
  package var name = ""
  package var host = ""
  package var plan = ""
  package var kind = SnapshotKind.daily
  package var type = SnapshotType.full
  package var summary = ""
  package var creator = ""
  package var purpose = ""
  package var notes = ""
  package var changeTicket = ""
  package var start = Timestamp(seconds: 0)
  package var end = Timestamp(seconds: 0)
  /// Seconds east of UTC at the start.
  package var utcOffset: Int32 = 0
  /// The directory `/`; its name is empty.
  package var root: Entry
  package var base: ObjectID?
  package var counts = SnapshotCounts()
  package var sources: [[UInt8]] = []
  package var excludes: [[UInt8]] = []
  package var tags: [String] = []
  package var sequence: UInt64 = 1
  package var previous: ObjectID?
  package var nextLinkGroup: UInt64 = 1
  package var program = ""
  /// Of other writers' chains that moved since this writer's record before; `Limits.headsMax` at most.
  package var heads: [ChainHead] = []

  package init(root: Entry) { self.root = root }

  package func encode() -> [UInt8] {
    var fields = RecordFields()
    fields.set(1, text: name)
    fields.set(2, text: host)
    fields.set(3, text: plan)
    fields.set(4) { $0.u8(kind.rawValue) }
    fields.set(5) { $0.u8(type.rawValue) }
    fields.set(6, text: summary)
    fields.set(7, text: creator)
    fields.set(8, text: purpose)
    fields.set(9, text: notes)
    fields.set(10, text: changeTicket)
    fields.set(11, time: start)
    fields.set(12, time: end)
    fields.set(13) { $0.svarint(Int64(utcOffset)) }
    var leaf = LeafBuilder()
    leaf.append(root)
    fields[14] = leaf.finish()
    fields.set(15, id: base)
    fields.set(16) { counts.encode(to: &$0) }
    fields.set(17, strings: sources)
    fields.set(18, strings: excludes)
    fields.set(19, strings: tags.map { Array($0.utf8) })
    fields.set(20, number: sequence)
    fields.set(21, id: previous)
    fields.set(22, number: nextLinkGroup)
    fields.set(23, text: program)
    fields.set(24, heads: heads)
    return fields.encode()
  }

  package init(decoding bytes: [UInt8]) throws(FormatError) {
    let fields = try RecordFields(decoding: bytes, known: 1...24)
    guard let rootBytes = fields[14] else { throw FormatError("the record has no root") }
    let root = try Leaf(BytesSlice(Bytes(rootBytes), offset: 0, count: rootBytes.count), isRoot: true).entry(0)
    guard root.isDirectory else { throw FormatError("the record's root is no directory") }
    self.init(root: root)
    name = try fields.text(1)
    host = try fields.text(2)
    plan = try fields.text(3)
    guard let kind = SnapshotKind(rawValue: fields[4]?.first ?? 0),
      let type = SnapshotType(rawValue: fields[5]?.first ?? 0), isValidSnapshotName(name)
    else { throw FormatError("the record is damaged") }
    self.kind = kind
    self.type = type
    summary = try fields.text(6)
    creator = try fields.text(7)
    purpose = try fields.text(8)
    notes = try fields.text(9)
    changeTicket = try fields.text(10)
    guard let start = try fields.time(11), let end = try fields.time(12) else {
      throw FormatError("the record has no time")
    }
    self.start = start
    self.end = end
    let offset = try fields.parse(13) { (reader) throws(FormatError) in try reader.svarint() } ?? 0
    guard (-86400...86400).contains(offset) else { throw FormatError("the record's time zone is impossible") }
    utcOffset = Int32(offset)
    base = try fields.id(15)
    if let counts = try fields.parse(16, { (reader) throws(FormatError) in try SnapshotCounts(&reader) }) {
      self.counts = counts
    }
    sources = try fields.strings(17)
    excludes = try fields.strings(18)
    tags = try fields.strings(19).map { String(decoding: $0, as: UTF8.self) }
    sequence = try fields.sequence(20)
    previous = try fields.id(21)
    nextLinkGroup = try fields.number(22)
    program = try fields.text(23)
    heads = try fields.heads(24, limit: Limits.headsMax)
  }
}

/// A snapshot's name becomes a directory's name in the mount: `YYYYMMDD_HHMM` and perhaps more.
package func isValidSnapshotName(_ name: String) -> Bool {
  let bytes = Array(name.utf8)
  let digits = bytes.prefix(13).enumerated().allSatisfy { index, byte in
    index == 8 ? byte == 0x5F : (0x30...0x39).contains(byte)
  }
  return bytes.count >= 13 && digits && bytes.withUnsafeBytes { isValidName($0) }
}

/// Whether a word names a day, `YYYYMMDD`, as the names of its snapshots begin.
package func isSnapshotDay(_ word: String) -> Bool {
  word.utf8.count == 8 && word.utf8.allSatisfy { (0x30...0x39).contains($0) }
}
