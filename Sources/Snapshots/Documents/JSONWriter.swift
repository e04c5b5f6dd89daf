internal import Platform

/// Writes JSON as it goes, without a tree in memory. Byte strings that are not UTF-8 come out with each bad
/// sequence as U+FFFD; where the bytes matter, callers add a hexadecimal field beside.
package struct JSONWriter: Sendable {
  package private(set) var text: [UInt8] = []
  private var needsComma = false
  private let isIndented: Bool
  private var depth = 0

  package init(indented: Bool = false) { isIndented = indented }

  package mutating func beginObject() { open(UInt8(ascii: "{")) }
  package mutating func endObject() { close(UInt8(ascii: "}")) }
  package mutating func beginArray() { open(UInt8(ascii: "[")) }
  package mutating func endArray() { close(UInt8(ascii: "]")) }

  package mutating func key(_ name: String) { key(Array(name.utf8)) }
  package mutating func key(_ name: [UInt8]) {
    separate()
    quote(name)
    text.append(UInt8(ascii: ":"))
    if isIndented { text.append(UInt8(ascii: " ")) }
    needsComma = false
  }

  package mutating func value(_ value: String) { item { $0.quote(Array(value.utf8)) } }
  package mutating func value(_ value: [UInt8]) { item { $0.quote(value) } }
  package mutating func value(_ value: Bool) { literal(value ? "true" : "false") }
  @inlinable package mutating func value(_ value: some BinaryInteger) { literal(String(value)) }
  package mutating func value(_ value: Double) { literal(value.isFinite ? String(value) : "null") }
  package mutating func null() { literal("null") }

  package mutating func field(_ name: String, _ value: String) {
    key(name)
    self.value(value)
  }
  package mutating func field(_ name: String, _ value: [UInt8]) {
    key(name)
    self.value(value)
  }
  package mutating func field(_ name: String, _ value: Bool) {
    key(name)
    self.value(value)
  }
  @inlinable package mutating func field(_ name: String, _ value: some BinaryInteger) {
    key(name)
    self.value(value)
  }
  package mutating func field(_ name: String, _ value: Double) {
    key(name)
    self.value(value)
  }
  /// Null for nil.
  package mutating func field(_ name: String, optional value: String?) {
    key(name)
    if let value { self.value(value) } else { null() }
  }

  /// Takes what was written so far, so that it can be sent on; writing then goes on.
  package mutating func drain() -> [UInt8] {
    defer { text.removeAll(keepingCapacity: true) }
    return text
  }

  @usableFromInline mutating func literal(_ value: String) { item { $0.text.append(contentsOf: value.utf8) } }

  private mutating func item(_ body: (inout JSONWriter) -> Void) {
    separate()
    body(&self)
    needsComma = true
  }

  private mutating func open(_ bracket: UInt8) {
    separate()
    text.append(bracket)
    depth += 1
    needsComma = false
  }

  private mutating func close(_ bracket: UInt8) {
    depth -= 1
    if isIndented && needsComma { newLine() }
    text.append(bracket)
    needsComma = true
  }

  private mutating func separate() {
    if needsComma { text.append(UInt8(ascii: ",")) }
    if isIndented && depth > 0 && text.last != UInt8(ascii: " ") { newLine() }
  }

  private mutating func newLine() {
    text.append(0x0A)
    text.append(contentsOf: repeatElement(0x20, count: depth * 2))
  }

  private mutating func quote(_ value: [UInt8]) {
    text.append(UInt8(ascii: "\""))
    // Decoding repairs bad sequences; plain ASCII, the common case, goes through unchanged.
    for byte in String(decoding: value, as: UTF8.self).utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        text.append(UInt8(ascii: "\\"))
        text.append(byte)
      case 0x0A: text.append(contentsOf: "\\n".utf8)
      case 0x09: text.append(contentsOf: "\\t".utf8)
      case 0x00..<0x20, 0x7F: text.append(contentsOf: "\\u00\(Hex.encode([byte]))".utf8)
      default: text.append(byte)
      }
    }
    text.append(UInt8(ascii: "\""))
  }
}
