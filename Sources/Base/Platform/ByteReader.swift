/// Bytes that break a rule of the repository format. `message` is a full clause for people, without place.
package struct FormatError: Error, Equatable, CustomStringConvertible {
  package let message: String
  package let kind: Kind

  package enum Kind: Sendable {
    case damaged
    /// Sound, but of a format that only a newer yester knows.
    case needsNewerVersion
    /// Sound as far as one can tell, but sealed with keys that are not at hand.
    case needsOtherKey
    /// Sound, and from somebody who may have become known since the keys at hand were read.
    case needsLaterKeys
    /// Sound, and from somebody whose word does not count for it.
    case doesNotCount
  }

  package init(_ message: String, _ kind: Kind = .damaged) {
    self.message = message
    self.kind = kind
  }
  package var description: String { message }
}

/// Reads little-endian integers, varints and byte strings from memory that the caller keeps alive.
///
/// Every read checks the remaining length first, so bad data can only throw.
package struct ByteReader {
  package let bytes: UnsafeRawBufferPointer
  package private(set) var position = 0

  package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  package var remaining: Int { bytes.count &- position }
  package var isAtEnd: Bool { position == bytes.count }

  @inline(__always)
  package mutating func u8() throws(FormatError) -> UInt8 {
    guard position < bytes.count else { throw FormatError("the data ends too early") }
    defer { position &+= 1 }
    return bytes[position]
  }

  package mutating func u16() throws(FormatError) -> UInt16 { try integer() }
  package mutating func u32() throws(FormatError) -> UInt32 { try integer() }
  package mutating func u64() throws(FormatError) -> UInt64 { try integer() }
  package mutating func i64() throws(FormatError) -> Int64 { Int64(bitPattern: try integer()) }

  @inline(__always)
  private mutating func integer<I: FixedWidthInteger>() throws(FormatError) -> I {
    guard remaining >= MemoryLayout<I>.size else { throw FormatError("the data ends too early") }
    defer { position &+= MemoryLayout<I>.size }
    return I(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: I.self))
  }

  /// An unsigned LEB128 number in its shortest form.
  @inline(__always)
  package mutating func varint() throws(FormatError) -> UInt64 {
    let first = try u8()
    if first < 0x80 { return UInt64(first) }
    return try longVarint(first)
  }

  private mutating func longVarint(_ first: UInt8) throws(FormatError) -> UInt64 {
    var value = UInt64(first & 0x7F)
    var shift: UInt64 = 7
    while true {
      let byte = try u8()
      if shift == 63 && byte > 1 { throw FormatError("a number is too large") }
      value |= UInt64(byte & 0x7F) &<< shift
      if byte < 0x80 {
        if byte == 0 { throw FormatError("a number is not in its shortest form") }
        return value
      }
      shift &+= 7
      if shift > 63 { throw FormatError("a number is too large") }
    }
  }

  /// A varint of at most `limit`, as an `Int`.
  package mutating func count(limit: Int) throws(FormatError) -> Int {
    let value = try varint()
    guard value <= UInt64(limit) else { throw FormatError("a count of \(value) is over the limit of \(limit)") }
    return Int(value)
  }

  /// A number in zigzag form.
  package mutating func svarint() throws(FormatError) -> Int64 {
    let raw = try varint()
    return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
  }

  /// `length` bytes, not copied.
  @inline(__always)
  package mutating func take(_ length: Int) throws(FormatError) -> UnsafeRawBufferPointer {
    guard length >= 0, length <= remaining else { throw FormatError("the data ends too early") }
    defer { position &+= length }
    return UnsafeRawBufferPointer(rebasing: bytes[position..<(position &+ length)])
  }

  /// A length and that many bytes, not copied.
  package mutating func string(limit: Int) throws(FormatError) -> UnsafeRawBufferPointer {
    try take(try count(limit: limit))
  }

  package mutating func array(_ length: Int) throws(FormatError) -> [UInt8] { Array(try take(length)) }

  package func requireEnd() throws(FormatError) {
    if !isAtEnd { throw FormatError("there are \(remaining) bytes too many") }
  }
}

extension ArraySlice<UInt8> {
  /// Runs `body` with a reader over these bytes.
  package func read<Value>(
    _ body: (inout ByteReader) throws(FormatError) -> Value
  ) throws(FormatError) -> Value {
    let result: Result<Value, FormatError> = withUnsafeBytes { raw in
      var reader = ByteReader(raw)
      do throws(FormatError) {
        return .success(try body(&reader))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }
}

extension [UInt8] {
  /// Runs `body` with a reader over these bytes.
  package func read<Value>(
    _ body: (inout ByteReader) throws(FormatError) -> Value
  ) throws(FormatError) -> Value { try self[...].read(body) }
}
