internal import Platform

/// A path for people: bytes that are not UTF-8 or would upset a terminal come out escaped.
package func printable(_ path: [UInt8]) -> String {
  let text = String(decoding: path, as: UTF8.self)
  let hasControl = text.unicodeScalars.contains { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) }
  let isPlain = Array(text.utf8) == path && !hasControl
  if isPlain { return "/" + text }
  return "/"
    + path.map { byte in
      (0x20..<0x7F).contains(byte) && byte != 0x5C ? String(UnicodeScalar(byte)) : "\\x" + Hex.encode([byte])
    }.joined()
}
