// What somebody can put into a store who holds a key: well-formed, sealed, signed, and wrong. It is made of what
// docs/format.md says, so that it tests the reader and not the writer.
package import ChunkCodec
package import ObjectStores
internal import Platform
package import RepositoryCore
package import RepositoryFormat

package struct Attacker: Sendable {
  package let store: any ObjectStore
  package let keyring: Keyring

  /// Whoever opens this repository now, and keeps the keys for ever.
  package init(_ repository: Repository, _ store: any ObjectStore) {
    self.store = store
    keyring = repository.keyring
  }

  /// A pack of one block in which each chunk has the id that is given, whatever its bytes are.
  package func storePack(_ chunks: [(id: ObjectID, bytes: [UInt8])], kind: ChunkKind = .data) throws -> IndexedPack {
    let (key, header) = try PackKey.make(kind, keyring)
    let plain = chunks.flatMap(\.bytes)
    let (sealed, compression) = try plain.withUnsafeBytes { try BlockCodec().seal($0, key: key, number: 0) }
    var directory = PackDirectory()
    directory.blocks = [
      PackDirectory.Block(
        sealedLength: UInt32(sealed.count), plainLength: UInt32(plain.count), compression: compression,
        chunks: chunks.map { PackDirectory.Chunk(id: $0.id, length: UInt32($0.bytes.count)) })
    ]
    let body = header + sealed.withFilled { Array($0) }
    let end = key.sealDirectory(directory)
    let trailer = PackLayout.trailer(directoryOffset: UInt64(body.count), directoryLength: UInt32(end.count))
    let pack = body + end + trailer
    let id = ObjectID(nameOf: SHA256.hash(pack))
    try store.put(.pack(id), pack)
    return IndexedPack(
      id: id, size: UInt64(pack.count), kind: kind, writer: keyring.writer.publicKey, directory: directory)
  }

  /// A segment that says all this, signed by the attacker.
  @discardableResult
  package func storeSegment(
    _ packs: [IndexedPack] = [], replaced: [ObjectID] = [], verified: [ObjectID] = []
  ) throws -> ObjectID {
    var builder = IndexSegmentBuilder()
    builder.replaced = replaced
    builder.statements = verified.map { IndexLayout.Statement(pack: $0, kind: .verified, seconds: 1) }
    for pack in packs { builder.add(pack) }
    return try builder.store(in: store, keyring)
  }

  /// Garbage under the ids of chunks, of the same lengths, in one pack, and a segment that lists it.
  package func storeGarbage(under chunks: [(id: ObjectID, length: Int)], kind: ChunkKind = .data) throws -> IndexedPack
  {
    let pack = try storePack(chunks.map { ($0.id, [UInt8](repeating: 0x58, count: $0.length)) }, kind: kind)
    try storeSegment([pack])
    return pack
  }
}

extension IndexedPack {
  /// The same said of another pack, or by another writer, or with other places.
  package func claiming(
    pack: ObjectID? = nil, size: UInt64? = nil, writer: [UInt8]? = nil, shift: UInt32 = 0
  ) -> IndexedPack {
    let said = IndexLayout.Pack(id: pack ?? self.pack.id, size: size ?? self.pack.size, kind: self.pack.kind)
    return IndexedPack(
      pack: said, writer: writer ?? self.writer,
      blocks: blocks.map { block in
        let l = block.location
        let location = BlockLocation(
          number: l.number, offset: l.offset + shift, sealedLength: l.sealedLength, plainLength: l.plainLength,
          compression: l.compression)
        return (location, block.chunks)
      })
  }
}
