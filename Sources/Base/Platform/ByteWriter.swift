/// Builds little-endian integers, varints and byte strings; the counterpart of `ByteReader`.
package struct ByteWriter: Sendable {
  package private(set) var bytes: [UInt8] = []

  package init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

  package var count: Int { bytes.count }

  package mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

  @inline(__always)
  package mutating func u8(_ value: UInt8) { bytes.append(value) }
  package mutating func u16(_ value: UInt16) { integer(value) }
  package mutating func u32(_ value: UInt32) { integer(value) }
  package mutating func u64(_ value: UInt64) { integer(value) }
  package mutating func i64(_ value: Int64) { integer(UInt64(bitPattern: value)) }

  @inline(__always)
  private mutating func integer<I: FixedWidthInteger>(_ value: I) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  @inline(__always)
  package mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }
  package mutating func varint(_ value: Int) { varint(UInt64(value)) }

  package mutating func svarint(_ value: Int64) { varint(UInt64(bitPattern: (value << 1) ^ (value >> 63))) }

  package mutating func raw(_ value: [UInt8]) { bytes.append(contentsOf: value) }
  package mutating func raw(_ value: UnsafeRawBufferPointer) { bytes.append(contentsOf: value) }
  package mutating func zeros(_ count: Int) { bytes.append(contentsOf: repeatElement(0, count: count)) }

  /// A length and the bytes.
  package mutating func string(_ value: [UInt8]) {
    varint(value.count)
    raw(value)
  }
  package mutating func string(_ value: ArraySlice<UInt8>) { value.withUnsafeBytes { string($0) } }
  package mutating func string(_ value: UnsafeRawBufferPointer) {
    varint(value.count)
    raw(value)
  }
  package mutating func string(_ value: String) { string(Array(value.utf8)) }
}
