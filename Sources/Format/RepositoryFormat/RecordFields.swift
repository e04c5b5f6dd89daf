package import Platform

/// A list of tagged fields, the body of records, notes and leases (docs/format.md, section 8.1).
package struct RecordFields: Sendable {
  /// In the order of their tags. What was decoded stays where it lay.
  private var values: [(tag: UInt64, bytes: ArraySlice<UInt8>)] = []

  package init() {}

  /// Unknown tags below 64 are refused: they would change the meaning of the rest. `additional` are known ones above.
  package init(
    decoding bytes: [UInt8], known: ClosedRange<UInt64>, additional: ClosedRange<UInt64>? = nil
  ) throws(FormatError) {
    values = try bytes.read { (reader) throws(FormatError) in
      var values: [(tag: UInt64, bytes: ArraySlice<UInt8>)] = []
      values.reserveCapacity(min(known.count, reader.remaining / 2))
      var last: UInt64?
      while !reader.isAtEnd {
        let tag = try reader.varint()
        if let last, tag <= last { throw FormatError("its fields are out of order") }
        last = tag
        let length = try reader.string(limit: Limits.recordSizeMax).count
        if known.contains(tag) || additional?.contains(tag) ?? false {
          values.append((tag, bytes[(reader.position - length)..<reader.position]))
        } else if tag < 64 {
          throw FormatError("it has a field that needs a newer yester", .needsNewerVersion)
        }
      }
      return values
    }
  }

  package func encode() -> [UInt8] {
    var out = ByteWriter()
    for (tag, bytes) in values where !bytes.isEmpty {
      out.varint(tag)
      out.string(bytes)
    }
    return out.bytes
  }

  /// The index of a tag, or the one where it belongs.
  private func position(of tag: UInt64) -> (index: Int, isPresent: Bool) {
    let index = values.firstIndex { $0.tag >= tag } ?? values.count
    return (index, index < values.count && values[index].tag == tag)
  }

  private func value(_ tag: UInt64) -> ArraySlice<UInt8>? {
    let (index, isPresent) = position(of: tag)
    return isPresent ? values[index].bytes : nil
  }

  package subscript(tag: UInt64) -> [UInt8]? {
    get { value(tag).map { Array($0) } }
    set {
      let (index, isPresent) = position(of: tag)
      if isPresent { values.remove(at: index) }
      if let newValue { values.insert((tag, newValue[...]), at: index) }
    }
  }

  package mutating func set(_ tag: UInt64, _ build: (inout ByteWriter) -> Void) {
    var out = ByteWriter()
    build(&out)
    self[tag] = out.bytes
  }

  /// Runs `body` over the field's bytes, all of which it must read; nil when the field is absent.
  package func parse<Value>(
    _ tag: UInt64, _ body: (inout ByteReader) throws(FormatError) -> Value
  ) throws(FormatError) -> Value? {
    guard let value = value(tag) else { return nil }
    return try value.read { (reader) throws(FormatError) in
      let result = try body(&reader)
      try reader.requireEnd()
      return result
    }
  }

  package func text(_ tag: UInt64) throws(FormatError) -> String {
    guard let value = value(tag) else { return "" }
    guard value.count <= Limits.textSizeMax else { throw FormatError("a text in it is too long") }
    return String(decoding: value, as: UTF8.self)
  }

  package func number(_ tag: UInt64) throws(FormatError) -> UInt64 {
    try parse(tag) { (reader) throws(FormatError) in try reader.varint() } ?? 0
  }

  /// A position in a writer's chain.
  package func sequence(_ tag: UInt64) throws(FormatError) -> UInt64 {
    let value = try number(tag)
    guard value <= Limits.sequenceMax else { throw FormatError("its sequence number is impossible") }
    return value
  }

  package func id(_ tag: UInt64) throws(FormatError) -> ObjectID? {
    try parse(tag) { (reader) throws(FormatError) in try reader.id() }
  }

  package func time(_ tag: UInt64) throws(FormatError) -> Timestamp? {
    try parse(tag) { (reader) throws(FormatError) in try reader.time() }
  }

  package func strings(_ tag: UInt64) throws(FormatError) -> [[UInt8]] {
    try parse(tag) { (reader) throws(FormatError) in
      let count = try reader.count(limit: reader.remaining)
      var out: [[UInt8]] = []
      for _ in 0..<count { out.append(Array(try reader.string(limit: Limits.textSizeMax))) }
      return out
    } ?? []
  }

  package mutating func set(_ tag: UInt64, text: String) { self[tag] = Array(text.utf8.prefix(Limits.textSizeMax)) }
  package mutating func set(_ tag: UInt64, number: UInt64) { set(tag) { $0.varint(number) } }
  package mutating func set(_ tag: UInt64, id: ObjectID?) { self[tag] = id?.bytes }
  package mutating func set(_ tag: UInt64, time: Timestamp?) { if let time { set(tag) { $0.time(time) } } }
  package mutating func set(_ tag: UInt64, strings: [[UInt8]]) {
    set(tag) {
      $0.varint(strings.count)
      for string in strings { $0.string(string) }
    }
  }
}

extension ByteReader {
  package mutating func time() throws(FormatError) -> Timestamp {
    let seconds = try svarint()
    let nanoseconds = try varint()
    guard nanoseconds < 1_000_000_000 else { throw FormatError("a time has more than a second of nanoseconds") }
    return Timestamp(seconds: seconds, nanoseconds: UInt32(nanoseconds))
  }
}
extension ByteWriter {
  package mutating func time(_ time: Timestamp) {
    svarint(time.seconds)
    varint(UInt64(time.nanoseconds))
  }
}
