internal import CLinux
internal import Glibc

/// Paths come from the command line as text, but are bytes: one that is no UTF-8 must get through all the same. A byte
/// that belongs to no character stands as a character of a private plane of Unicode, U+10FF00 and the byte; where the
/// path reaches the system it becomes that byte again. A name that has such a character already is taken byte by byte,
/// so that every name comes out as it went in.
extension String {
  private static let escapeBase: UInt32 = 0x10_FF00
  private static func isEscape(_ scalar: Unicode.Scalar) -> Bool { scalar.value & ~0xFF == escapeBase }

  package init(path bytes: [UInt8]) {
    if let text = String(validating: bytes, as: UTF8.self), !text.unicodeScalars.contains(where: Self.isEscape) {
      self = text
      return
    }
    var out = String.UnicodeScalarView()
    var rest = bytes[...]
    while let first = rest.first {
      let length = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
      if let text = String(validating: rest.prefix(length), as: UTF8.self), text.unicodeScalars.count == 1,
        !text.unicodeScalars.contains(where: Self.isEscape)
      {
        out.append(contentsOf: text.unicodeScalars)
        rest = rest.dropFirst(length)
      } else {
        if let scalar = Unicode.Scalar(Self.escapeBase + UInt32(first)) { out.append(scalar) }
        rest = rest.dropFirst()
      }
    }
    self = String(out)
  }

  /// As a message can show it: bytes that belong to no character, and control characters that would upset a terminal,
  /// come out as `\x` and two digits. Newlines and tabs stay.
  package var visible: String {
    func escaped(_ scalar: Unicode.Scalar) -> UInt8? {
      if Self.isEscape(scalar) { return UInt8(truncatingIfNeeded: scalar.value) }
      let isControl = scalar.properties.generalCategory == .control && scalar != "\n" && scalar != "\t"
      return isControl ? UInt8(truncatingIfNeeded: scalar.value) : nil
    }
    guard unicodeScalars.contains(where: { escaped($0) != nil }) else { return self }
    return unicodeScalars.map { scalar in escaped(scalar).map { "\\x" + Hex.encode([$0]) } ?? String(scalar) }.joined()
  }

  package var pathBytes: [UInt8] {
    guard unicodeScalars.contains(where: Self.isEscape) else { return Array(utf8) }
    return unicodeScalars.flatMap { scalar in
      Self.isEscape(scalar)
        ? [UInt8(truncatingIfNeeded: scalar.value - Self.escapeBase)] : Array(String(scalar).utf8)
    }
  }
}

extension System {
  /// The words of the command line behind the program's name, as they were given. (`CommandLine.arguments` reads /proc,
  /// which may not be there, and takes the words for UTF-8.)
  package static var arguments: [String] {
    (0..<yl_argument_count()).dropFirst().compactMap { index in
      yl_argument(index).map { String(path: Array(UnsafeRawBufferPointer(start: $0, count: strlen($0)))) }
    }
  }
}
