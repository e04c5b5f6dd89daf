internal import Documents
internal import Platform
internal import RepositoryFormat

/// Entries in words, as `ls -l` has them.
enum EntryText {
  /// A path or name for people: escaped as a whole when it holds control characters, or, at a terminal, bytes that
  /// are not UTF-8.
  static func name(_ bytes: [UInt8], forTerminal: Bool) -> [UInt8] {
    let text = String(decoding: bytes, as: UTF8.self)
    let hasControl = text.unicodeScalars.contains { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) }
    let isText = Array(text.utf8) == bytes
    if !hasControl && (isText || !forTerminal) { return bytes }
    var out: [UInt8] = []
    for byte in bytes {
      if (0x20..<0x7F).contains(byte) && byte != 0x5C {
        out.append(byte)
      } else {
        out += "\\x\(Hex.encode([byte]))".utf8
      }
    }
    return out
  }

  static func text(_ bytes: [UInt8]) -> String { String(decoding: name(bytes, forTerminal: true), as: UTF8.self) }

  /// `drwxr-sr-t`
  static func mode(_ entry: Entry) -> String {
    let type =
      switch entry.type {
      case .file: "-"
      case .directory: "d"
      case .symbolicLink: "l"
      case .fifo: "p"
      case .socket: "s"
      case .characterDevice: "c"
      case .blockDevice: "b"
      }
    var out = type
    for (shift, special, letter) in [(6, UInt32(0o4000), "s"), (3, 0o2000, "s"), (0, 0o1000, "t")]
      as [(Int, UInt32, String)]
    {
      let bits = entry.permissions >> UInt32(shift)
      out += bits & 4 != 0 ? "r" : "-"
      out += bits & 2 != 0 ? "w" : "-"
      switch (entry.permissions & special != 0, bits & 1 != 0) {
      case (true, true): out += letter
      case (true, false): out += letter.uppercased()
      case (false, let isExecutable): out += isExecutable ? "x" : "-"
      }
    }
    return out
  }

  /// `2026-11-20T09:30:00.123456789+01:00`, on this machine's clock.
  static func time(_ time: Timestamp) -> String { time.withNanoseconds(offset: time.limited.localOffset) }

  static func user(_ owner: Owner) -> String { owner.userName.isEmpty ? String(owner.user) : text(owner.userName) }
  static func group(_ owner: Owner) -> String { owner.groupName.isEmpty ? String(owner.group) : text(owner.groupName) }

  /// A file's or link's size; a device's numbers; nothing for others.
  static func size(_ entry: Entry) -> String {
    switch entry.body {
    case .file, .symbolicLink: String(entry.size)
    case .characterDevice(let major, let minor), .blockDevice(let major, let minor): "\(major), \(minor)"
    case .directory, .fifo, .socket: "-"
    }
  }

  static func right(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }
  static func left(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  /// All of `ls -l` but the name. Widths are fixed, as lines go out before the next entry is known.
  static func long(_ entry: Entry) -> String {
    [
      mode(entry), right(String(entry.linkCount), 3), left(user(entry.owner), 8), left(group(entry.owner), 8),
      right(size(entry), 12), time(entry.modified),
    ].joined(separator: " ")
  }
}
