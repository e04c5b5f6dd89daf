internal import ChunkCodec
internal import Exploring
internal import Platform
internal import RepositoryFormat

/// Entries in JSON: one form for every command (docs/json.md).
enum EntryJSON {
  /// SHA-256 of nothing, which entries do not store.
  private static let emptyDigest = SHA256.hash([]).hex

  /// A path with a slash in front, and its bytes in hexadecimal when they are not UTF-8.
  static func path(_ path: [UInt8], _ json: inout JSONWriter) {
    json.field("path", [0x2F] + path)
    hex("path_hex", [0x2F] + path, &json)
  }

  /// A field that is only there when the bytes are not UTF-8 and thus not shown truly.
  static func hex(_ name: String, _ bytes: [UInt8], _ json: inout JSONWriter) {
    if Array(String(decoding: bytes, as: UTF8.self).utf8) != bytes { json.field(name, Hex.encode(bytes)) }
  }

  /// The fields of an entry, into an object that is open.
  static func fields(_ entry: Entry, path: [UInt8], _ json: inout JSONWriter) {
    json.field("name", path.isEmpty ? [0x2F] : Array(path[((path.lastIndex(of: 0x2F) ?? -1) + 1)...]))
    Self.path(path, &json)
    properties(entry, &json)
  }

  /// The same without name and path.
  static func properties(_ entry: Entry, _ json: inout JSONWriter) {
    json.field("type", entry.type.word)
    json.field("mode", mode(entry.permissions))
    json.field("uid", entry.owner.user)
    json.field("gid", entry.owner.group)
    json.field("user", optional: text(entry.owner.userName))
    json.field("group", optional: text(entry.owner.groupName))
    json.field("size", entry.size)
    json.field("modified", EntryText.time(entry.modified, utc: true))
    json.field("links", entry.linkCount)
    switch entry.body {
    case .file(let size, let content): json.field("sha256", optional: size == 0 ? emptyDigest : content.digest?.hex)
    case .directory(let below, _):
      json.field("entries", below)
      json.field("partial", entry.isPartial)
    case .symbolicLink(let target):
      json.field("target", target)
      hex("target_hex", target, &json)
    case .characterDevice(let major, let minor), .blockDevice(let major, let minor):
      json.field("major", major)
      json.field("minor", minor)
    case .fifo, .socket: break
    }
    json.key("xattrs")
    json.beginArray()
    for attribute in entry.attributes { json.value(attribute.name) }
    json.endArray()
  }

  /// `"0644"`
  static func mode(_ permissions: UInt32) -> String {
    let digits = String(permissions, radix: 8)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
  }

  private static func text(_ bytes: [UInt8]) -> String? {
    bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
  }

  static func facts(_ name: String, _ facts: EntryFacts?, _ json: inout JSONWriter) {
    json.key(name)
    guard let facts else { return json.null() }
    json.beginObject()
    json.field("type", facts.type.word)
    json.field("mode", mode(facts.permissions))
    json.field("uid", facts.user)
    json.field("gid", facts.group)
    json.field("size", facts.size)
    json.field("modified", EntryText.time(facts.modified, utc: true))
    json.endObject()
  }
}
