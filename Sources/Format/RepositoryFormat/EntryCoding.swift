package import Platform

/// Entries to bytes and back (docs/format.md, section 9.1 and 9.3).
package enum EntryCoding {
  private static let hasAttributes: UInt8 = 1
  private static let hasLinkGroup: UInt8 = 2
  private static let hasBirth: UInt8 = 4
  private static let partial: UInt8 = 8
  private static let hasDigest: UInt8 = 16
  private static let incomplete: UInt8 = 32

  /// `owner` is the index of the entry's owner in the leaf's list.
  package static func encode(_ entry: Entry, owner: Int, to out: inout ByteWriter) {
    var flags: UInt8 = 0
    if !entry.attributes.isEmpty { flags |= hasAttributes }
    if entry.linkGroup != nil { flags |= hasLinkGroup }
    if entry.born != nil { flags |= hasBirth }
    if entry.isPartial { flags |= partial }
    if entry.isIncomplete { flags |= incomplete }
    if case .file(_, let content) = entry.body {
      switch content {
      case .pieces(.some, _), .lists(.some, _): flags |= hasDigest
      default: break
      }
    }
    out.u8(entry.type.rawValue)
    out.u8(flags)
    out.string(entry.name)
    out.varint(UInt64(entry.permissions))
    out.varint(owner)
    out.time(entry.modified)
    out.time(entry.changed)
    if let born = entry.born { out.time(born) }
    out.varint(entry.linkCount)
    out.varint(entry.sourceInode)
    if let group = entry.linkGroup { out.varint(group) }
    if !entry.attributes.isEmpty {
      out.varint(entry.attributes.count)
      for attribute in entry.attributes {
        out.string(attribute.name)
        out.string(attribute.value)
      }
    }
    encode(entry.body, to: &out)
  }

  private static func encode(_ body: EntryBody, to out: inout ByteWriter) {
    switch body {
    case .file(let size, let content):
      out.varint(size)
      encode(content, to: &out)
    case .directory(let below, let listing):
      out.varint(below)
      out.id(listing)
    case .symbolicLink(let target): out.string(target)
    case .fifo, .socket: break
    case .characterDevice(let major, let minor), .blockDevice(let major, let minor):
      out.varint(UInt64(major))
      out.varint(UInt64(minor))
    }
  }

  private static func encode(_ content: FileContent, to out: inout ByteWriter) {
    switch content {
    case .empty: out.u8(0)
    case .single(let digest):
      out.u8(1)
      out.digest(digest)
    case .pieces(let digest, let pieces):
      out.u8(2)
      if let digest { out.digest(digest) }
      ContentList.encode(pieces, to: &out)
    case .lists(let digest, let lists):
      out.u8(3)
      if let digest { out.digest(digest) }
      ContentList.encode(lists, to: &out)
    }
  }

  /// Reads a whole entry. The root's name is empty; no other's may be.
  package static func decode(
    _ reader: inout ByteReader, owners: [Owner], isRoot: Bool = false
  ) throws(FormatError) -> Entry {
    guard let type = EntryType(rawValue: try reader.u8()) else { throw FormatError("an entry has an unknown type") }
    let flags = try reader.u8()
    guard flags < 64 else { throw FormatError("an entry has flags that need a newer yester") }
    let name = try reader.string(limit: Limits.nameSizeMax)
    guard isRoot ? name.isEmpty : isValidName(name) else {
      throw FormatError("an entry has a name that no file can have")
    }
    let permissions = UInt32(try reader.count(limit: 0o7777))
    let ownerIndex = try reader.count(limit: Limits.leafEntriesMax)
    guard ownerIndex < owners.count else { throw FormatError("an entry has an owner that is not listed") }
    let modified = try reader.time()
    let changed = try reader.time()
    let born = flags & hasBirth != 0 ? try reader.time() : nil
    let linkCount = try reader.varint()
    let inode = try reader.varint()
    let group = flags & hasLinkGroup != 0 ? try reader.varint() : nil
    if let group, group >= Limits.snapshotEntriesMax { throw FormatError("a link group is too large") }
    let attributes = flags & hasAttributes != 0 ? try decodeAttributes(&reader) : []
    let body = try decodeBody(type, hasDigest: flags & hasDigest != 0, &reader)
    try reader.requireEnd()
    return Entry(
      name: Array(name), permissions: permissions, owner: owners[ownerIndex], modified: modified, changed: changed,
      born: born, linkCount: linkCount, sourceInode: inode, linkGroup: group, isPartial: flags & partial != 0,
      isIncomplete: flags & incomplete != 0,
      attributes: attributes, body: body)
  }

  private static func decodeAttributes(_ reader: inout ByteReader) throws(FormatError) -> [ExtendedAttribute] {
    let count = try reader.count(limit: min(65_536, reader.remaining / 2))
    var out: [ExtendedAttribute] = []
    var size = 0
    for _ in 0..<count {
      let name = Array(try reader.string(limit: 255))
      let value = Array(try reader.string(limit: 65_536))
      size += name.count + value.count
      guard !name.isEmpty, !name.contains(0), size <= Limits.attributesSizeMax else {
        throw FormatError("an entry has attributes that no file can have")
      }
      out.append(ExtendedAttribute(name: name, value: value))
    }
    guard out.hasDistinctNames else { throw FormatError("an entry has an attribute twice") }
    return out
  }

  private static func decodeBody(
    _ type: EntryType, hasDigest: Bool, _ reader: inout ByteReader
  ) throws(FormatError) -> EntryBody {
    switch type {
    case .file:
      let size = try reader.varint()
      guard size <= Limits.fileSizeMax else { throw FormatError("a file is larger than files can be") }
      return .file(size: size, content: try decodeContent(size, hasDigest: hasDigest, &reader))
    case .directory:
      let below = try reader.varint()
      guard below <= Limits.snapshotEntriesMax else { throw FormatError("a directory has an absurd count") }
      return .directory(below: below, listing: try reader.id())
    case .symbolicLink:
      let target = try reader.string(limit: Limits.targetSizeMax)
      guard !target.contains(0) else { throw FormatError("a link's target has a zero byte") }
      return .symbolicLink(target: Array(target))
    case .fifo: return .fifo
    case .socket: return .socket
    case .characterDevice:
      let major = try deviceNumber(&reader)
      return .characterDevice(major: major, minor: try deviceNumber(&reader))
    case .blockDevice:
      let major = try deviceNumber(&reader)
      return .blockDevice(major: major, minor: try deviceNumber(&reader))
    }
  }

  private static func deviceNumber(_ reader: inout ByteReader) throws(FormatError) -> UInt32 {
    UInt32(try reader.count(limit: Int(UInt32.max)))
  }

  private static func decodeContent(
    _ size: UInt64, hasDigest: Bool, _ reader: inout ByteReader
  ) throws(FormatError) -> FileContent {
    switch try reader.u8() {
    case 0:
      guard size == 0 else { throw FormatError("a file with a size has no content") }
      return .empty
    case 1:
      guard size > 0, size <= Limits.chunkSizeMax else { throw FormatError("a file's size does not fit one chunk") }
      return .single(try reader.digest())
    case 2:
      let digest = hasDigest ? try reader.digest() : nil
      return .pieces(digest, try ContentList.decodePieces(&reader, covering: size))
    case 3:
      let digest = hasDigest ? try reader.digest() : nil
      return .lists(digest, try ContentList.decodeReferences(&reader, covering: size))
    default: throw FormatError("a file has content in an unknown form")
    }
  }
}

/// Pieces of a file, and lists of them (docs/format.md, section 9.3).
package enum ContentList: Sendable, Equatable {
  case pieces([ContentPiece])
  /// Lists of the level below `level`, which is 1 or more.
  case lists(level: Int, [ContentListReference])

  /// About how many bytes of memory it takes.
  package var memory: Int {
    switch self {
    case .pieces(let pieces): pieces.count * MemoryLayout<ContentPiece>.stride
    case .lists(_, let lists): lists.count * MemoryLayout<ContentListReference>.stride
    }
  }

  package func encode() -> [UInt8] {
    var out = ByteWriter()
    out.u8(TreeObjectType.contentList.rawValue)
    switch self {
    case .pieces(let pieces):
      out.u8(0)
      Self.encode(pieces, to: &out)
    case .lists(let level, let lists):
      out.u8(UInt8(level))
      Self.encode(lists, to: &out)
    }
    return out.bytes
  }

  /// `size` is how many bytes of the file it must cover.
  package init(decoding bytes: UnsafeRawBufferPointer, covering size: UInt64) throws(FormatError) {
    var reader = ByteReader(bytes)
    guard try reader.u8() == TreeObjectType.contentList.rawValue else {
      throw FormatError("it is no content list")
    }
    let level = Int(try reader.u8())
    guard level < Limits.levelsMax else { throw FormatError("a content list is nested too deeply") }
    self =
      level == 0
      ? .pieces(try Self.decodePieces(&reader, covering: size))
      : .lists(level: level, try Self.decodeReferences(&reader, covering: size))
    try reader.requireEnd()
  }

  static func encode(_ pieces: [ContentPiece], to out: inout ByteWriter) {
    out.varint(pieces.count)
    for piece in pieces {
      out.varint(piece.length << 1 | (piece.chunk == nil ? 1 : 0))
      if let chunk = piece.chunk { out.id(chunk) }
    }
  }
  static func encode(_ lists: [ContentListReference], to out: inout ByteWriter) {
    out.varint(lists.count)
    for list in lists {
      out.varint(list.length)
      out.id(list.list)
    }
  }

  static func decodePieces(
    _ reader: inout ByteReader, covering size: UInt64
  ) throws(FormatError) -> [ContentPiece] {
    let count = try reader.count(limit: min(Limits.contentPartsMax, reader.remaining))
    var out: [ContentPiece] = []
    out.reserveCapacity(count)
    var left = size
    for _ in 0..<count {
      let raw = try reader.varint()
      let length = raw >> 1
      let isHole = raw & 1 == 1
      guard length > 0, length <= left, isHole || length <= Limits.chunkSizeMax else {
        throw FormatError("a file's pieces do not fit its size")
      }
      left -= length
      out.append(ContentPiece(length: length, chunk: isHole ? nil : try reader.id()))
    }
    guard left == 0 else { throw FormatError("a file's pieces do not fit its size") }
    return out
  }

  static func decodeReferences(
    _ reader: inout ByteReader, covering size: UInt64
  ) throws(FormatError) -> [ContentListReference] {
    let count = try reader.count(limit: min(Limits.contentPartsMax, reader.remaining / 33))
    var out: [ContentListReference] = []
    out.reserveCapacity(count)
    var left = size
    for _ in 0..<count {
      let length = try reader.varint()
      guard length > 0, length <= left else { throw FormatError("a file's lists do not fit its size") }
      left -= length
      out.append(ContentListReference(length: length, list: try reader.id()))
    }
    guard left == 0 else { throw FormatError("a file's lists do not fit its size") }
    return out
  }
}
