internal import ChunkCodec
package import Platform
package import RepositoryFormat

/// A path in a snapshot: with a slash in front, and its bytes in hexadecimal beside it when they are not UTF-8.
package struct PathDocument: Document {
  /// Without a slash in front.
  package let path: [UInt8]

  package init(_ path: [UInt8]) { self.path = path }

  package func writeMembers(to json: inout JSONWriter) {
    let whole = [0x2F] + path
    json.field("path", whole)
    json.fieldInHex("path_hex", whole)
  }
}

/// What a snapshot holds of an entry (docs/json.md, 1.3).
package struct EntryDocument: Document {
  package let entry: Entry
  /// From the snapshot's root, without a slash in front; nil where name and path are said elsewhere.
  package let path: [UInt8]?

  package init(_ entry: Entry, path: [UInt8]? = nil) {
    self.entry = entry
    self.path = path
  }

  package func writeMembers(to json: inout JSONWriter) {
    if let path {
      json.field("name", path.isEmpty ? [0x2F] : Array(path[((path.lastIndex(of: 0x2F) ?? -1) + 1)...]))
      PathDocument(path).writeMembers(to: &json)
    }
    json.field("type", entry.type.word)
    json.field("mode", Self.mode(entry.permissions))
    json.field("uid", entry.owner.user)
    json.field("gid", entry.owner.group)
    json.field("user", optional: Self.text(entry.owner.userName))
    json.field("group", optional: Self.text(entry.owner.groupName))
    json.field("size", entry.size)
    json.field("modified", entry.modified.withNanoseconds(offset: 0))
    json.field("links", entry.linkCount)
    writeBody(to: &json)
    json.key("xattrs")
    json.beginArray()
    for attribute in entry.attributes { json.value(attribute.name) }
    json.endArray()
  }

  private func writeBody(to json: inout JSONWriter) {
    switch entry.body {
    case .file(let size, let content): json.field("sha256", optional: content.sha256(size: size))
    case .directory(let below, _):
      json.field("entries", below)
      json.field("partial", entry.isPartial)
    case .symbolicLink(let target):
      json.field("target", target)
      json.fieldInHex("target_hex", target)
    case .characterDevice(let major, let minor), .blockDevice(let major, let minor):
      json.field("major", major)
      json.field("minor", minor)
    case .fifo, .socket: break
    }
  }

  /// `"0644"`
  package static func mode(_ permissions: UInt32) -> String {
    let digits = String(permissions, radix: 8)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
  }

  private static func text(_ bytes: [UInt8]) -> String? {
    bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
  }
}

extension JSONWriter {
  /// A field that is only there when the bytes are not UTF-8 and thus not shown truly.
  fileprivate mutating func fieldInHex(_ name: String, _ bytes: [UInt8]) {
    if Array(String(decoding: bytes, as: UTF8.self).utf8) != bytes { field(name, Hex.encode(bytes)) }
  }
}

extension FileContent {
  /// SHA-256 of nothing, which entries do not store.
  private static let emptyDigest = SHA256.hash([]).hex

  /// The checksum of a file of this size and content in hexadecimal; nil where none was recorded.
  package func sha256(size: UInt64) -> String? { size == 0 ? Self.emptyDigest : digest?.hex }
}

extension Timestamp {
  /// `2026-11-20T09:30:00.123456789+01:00`, or with `Z` for the offset 0.
  package func withNanoseconds(offset: Int32) -> String {
    let text = limited.iso8601(offset: offset)
    let zoneSize = text.hasSuffix("Z") ? 1 : 6
    return text.dropLast(zoneSize) + "." + pad(Int(nanoseconds), 9) + text.suffix(zoneSize)
  }

  /// Years that nobody can write are shown as the last one that can be.
  package var limited: Timestamp {
    let limit: Int64 = 1 << 50
    return Timestamp(seconds: min(limit, max(-limit, seconds)), nanoseconds: nanoseconds)
  }
}

extension EntryType {
  /// The word in JSON and for people.
  package var word: String {
    switch self {
    case .file: "file"
    case .directory: "directory"
    case .symbolicLink: "symlink"
    case .fifo: "fifo"
    case .socket: "socket"
    case .characterDevice: "character-device"
    case .blockDevice: "block-device"
    }
  }
}
