internal import ChunkCodec
internal import Glibc
internal import Platform
internal import RepositoryFormat

/// Opened snapshot records and notes in the local cache, so that a catalog of a thousand snapshots is not a thousand
/// files to read and signatures to check each time. Records never change under their id; which of them there are the
/// repository tells. The file is sealed: it names paths and hosts. All of it can be made anew.
struct CatalogCache: Sendable {
  struct Item: Sendable {
    let id: ObjectID
    let envelope: SignedEnvelope
    /// A record's or a note's encoding, as `envelope.magic` says.
    let body: [UInt8]
  }

  private static let sizeMax = 256 << 20
  private static let saltSize = 32
  /// Version 1 knew nothing of annotations and left them out of what it kept.
  private static let purpose = "yester catalog cache 2"
  private let directory: String
  private let keyring: Keyring

  init(keyring: Keyring, cacheDirectory: String) {
    directory = cacheDirectory
    self.keyring = keyring
  }

  private var path: String { directory + "/catalog" }

  private func key(_ salt: [UInt8]) -> [UInt8] {
    KeyDerivation.hkdf(keyring.listKey, salt: salt, Self.purpose)
  }

  /// What is kept, by id; nothing when there is no cache, or when it is not to be trusted.
  func load() -> [ObjectID: Item] {
    guard let file = try? Descriptor.open(path), let bytes = try? file.readAll(limit: Self.sizeMax),
      bytes.count > Self.saltSize
    else { return [:] }
    let salt = Array(bytes[..<Self.saltSize])
    guard
      let plain = try? AESGCM().open(
        Array(bytes[Self.saltSize...]), key: key(salt), authenticating: keyring.repository.bytes),
      let items = try? plain.read({ reader throws(FormatError) in try decode(&reader) })
    else { return [:] }
    return Dictionary(items.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// Without a place for it the next run takes longer, and nothing else.
  func save(_ items: [Item]) {
    var out = ByteWriter()
    out.varint(items.count)
    for item in items {
      out.id(item.id)
      out.raw(item.envelope.encode(repository: keyring.repository))
      out.string(item.body)
    }
    let salt = System.random(Self.saltSize)
    let sealed = salt + AESGCM().seal(out.bytes, key: key(salt), authenticating: keyring.repository.bytes)
    guard sealed.count <= Self.sizeMax else { return }
    let temporary = path + "." + Hex.encode(System.random(4))
    do throws(Errno) {
      try Directory.makeAll(directory)
      let file = try Descriptor.open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
      try file.write(sealed)
      try FileSystem.rename(temporary.pathBytes, at: nil, to: path.pathBytes, at: nil)
    } catch {
      try? FileSystem.removeFile(temporary.pathBytes, at: nil)
    }
  }

  private func decode(_ reader: inout ByteReader) throws(FormatError) -> [Item] {
    let count = try reader.count(limit: reader.remaining / SignedEnvelope.size)
    var items: [Item] = []
    items.reserveCapacity(count)
    for _ in 0..<count {
      let id = try reader.id()
      let envelope = try SignedEnvelope(
        decoding: try reader.array(SignedEnvelope.size), repository: keyring.repository)
      items.append(Item(id: id, envelope: envelope, body: Array(try reader.string(limit: Limits.recordSizeMax))))
    }
    try reader.requireEnd()
    return items
  }
}
