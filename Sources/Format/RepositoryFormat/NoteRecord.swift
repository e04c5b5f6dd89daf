package import Platform

/// A signed statement about snapshots (docs/format.md, section 8.3).
package struct NoteRecord: Sendable, Equatable {
  package enum Kind: UInt8, Sendable {
    case removed = 1
    case verified = 2
    case pinned = 3
    case unpinned = 4
    case confirmed = 5
  }
  package struct Subject: Sendable, Equatable {
    package let snapshot: ObjectID
    /// Public key of the writer of that snapshot, 32 bytes.
    package let writer: [UInt8]
    package let sequence: UInt64
    package init(snapshot: ObjectID, writer: [UInt8], sequence: UInt64) {
      self.snapshot = snapshot
      self.writer = writer
      self.sequence = sequence
    }
  }
  /// Numbers of a writer's chain that a full writer gives up: what had them counts as removed.
  package struct Loss: Sendable, Equatable {
    package let writer: [UInt8]
    package let numbers: ClosedRange<UInt64>
    package init(writer: [UInt8], numbers: ClosedRange<UInt64>) {
      self.writer = writer
      self.numbers = numbers
    }
  }
  package var kind: Kind
  package var time: Timestamp
  package var subjects: [Subject]
  package var text = ""
  package var level = ""
  package var until: Timestamp?
  package var by = ""
  package var sequence: UInt64 = 1
  package var previous: ObjectID?
  /// Of other writers' chains that moved since this writer's record before; `Limits.headsMax` at most.
  package var heads: [ChainHead] = []
  /// Only in notes of the kind `removed`; `Limits.lostRangesMax` at most.
  package var losses: [Loss] = []
  package var annotation: SnapshotAnnotation?
  /// Names of the subjects, in their order; or none. Each has `Limits.nameSizeMax` bytes at most.
  package var names: [String] = []

  /// A note that only annotates. Readers that know nothing of annotations see a confirmation of nothing.
  package init(_ annotation: SnapshotAnnotation, time: Timestamp) {
    self.init(kind: .confirmed, time: time, subjects: [])
    self.annotation = annotation
  }

  package init(kind: Kind, time: Timestamp, subjects: [Subject]) {
    self.kind = kind
    self.time = time
    self.subjects = subjects
  }

  package func encode() -> [UInt8] {
    var fields = RecordFields()
    fields.set(1) { $0.u8(kind.rawValue) }
    fields.set(2, time: time)
    fields.set(3) {
      $0.varint(subjects.count)
      for subject in subjects {
        $0.id(subject.snapshot)
        $0.raw(subject.writer)
        $0.varint(subject.sequence)
      }
    }
    fields.set(4, text: text)
    fields.set(5, text: level)
    fields.set(6, time: until)
    fields.set(7, text: by)
    if !losses.isEmpty {
      fields.set(8) {
        $0.varint(losses.count)
        for loss in losses {
          $0.raw(loss.writer)
          $0.varint(loss.numbers.lowerBound)
          $0.varint(loss.numbers.upperBound)
        }
      }
    }
    fields.set(20, number: sequence)
    fields.set(21, id: previous)
    fields.set(24, heads: heads)
    if let annotation { fields.set(64) { annotation.encode(to: &$0) } }
    if !names.isEmpty { fields.set(65, strings: names.map { Array($0.utf8) }) }
    return fields.encode()
  }

  package init(decoding bytes: [UInt8]) throws(FormatError) {
    let fields = try RecordFields(decoding: bytes, known: 1...24, additional: 64...65)
    // Snapshot records have fields in this gap, notes have not.
    guard (9...19).allSatisfy({ fields[$0] == nil }), fields[22] == nil, fields[23] == nil else {
      throw FormatError("it has a field that needs a newer yester")
    }
    guard let kind = Kind(rawValue: fields[1]?.first ?? 0), let time = try fields.time(2) else {
      throw FormatError("the note is damaged")
    }
    let subjects =
      try fields.parse(3) { (reader) throws(FormatError) -> [Subject] in
        let count = try reader.count(limit: reader.remaining / 65)
        var out: [Subject] = []
        for _ in 0..<count {
          let subject = Subject(
            snapshot: try reader.id(), writer: try reader.array(32), sequence: try reader.varint())
          guard subject.sequence <= Limits.sequenceMax else { throw FormatError("its sequence number is impossible") }
          out.append(subject)
        }
        return out
      } ?? []
    self.init(kind: kind, time: time, subjects: subjects)
    text = try fields.text(4)
    level = try fields.text(5)
    until = try fields.time(6)
    by = try fields.text(7)
    sequence = try fields.sequence(20)
    previous = try fields.id(21)
    heads = try fields.heads(24, limit: Limits.headsMax)
    losses = try fields.parse(8) { (reader) throws(FormatError) in try Self.losses(&reader) } ?? []
    guard losses.isEmpty || kind == .removed else { throw FormatError("the note is damaged") }
    annotation = try fields.parse(64) { (reader) throws(FormatError) in try SnapshotAnnotation(&reader) }
    names = try fields.parse(65) { (reader) throws(FormatError) in try Self.names(&reader) } ?? []
    guard names.isEmpty || names.count == subjects.count else { throw FormatError("the note is damaged") }
  }

  private static func losses(_ reader: inout ByteReader) throws(FormatError) -> [Loss] {
    let count = try reader.count(limit: Limits.lostRangesMax)
    var out: [Loss] = []
    for _ in 0..<count {
      let writer = try reader.array(32)
      let (first, last) = (try reader.varint(), try reader.varint())
      guard first >= 1, first <= last, last <= Limits.sequenceMax else {
        throw FormatError("its sequence number is impossible")
      }
      out.append(Loss(writer: writer, numbers: first...last))
    }
    return out
  }

  private static func names(_ reader: inout ByteReader) throws(FormatError) -> [String] {
    let count = try reader.count(limit: reader.remaining)
    var out: [String] = []
    for _ in 0..<count { out.append(try reader.text(limit: Limits.nameSizeMax)) }
    return out
  }
}
