internal import ChunkCodec
internal import Glibc
package import Platform
package import Reporting
package import RepositoryCore
package import RepositoryFormat
internal import SnapshotTree
internal import Synchronization

/// A sealed copy of a writer's own last listings, in the local cache: how a write-only key, which cannot read the
/// repository, finds out what changed.
///
/// The file: 8 bytes of magic, a random salt of 32, then for each tree object its id, the length of the sealed bytes
/// (u32), and these, sealed with a key that only this writer can derive. Lost or damaged, it costs a full reading.
package enum LocalListings {
  private static let magic = Array("YSTRLIST".utf8)
  private static let headerSize = 40
  private static let recordHeadSize = 36

  package static func path(_ repository: Repository, host: String, plan: String) -> String {
    let name = SHA256.hash(Array("\(host)\u{0}\(plan)".utf8)).hex.prefix(32)
    let writer = Hex.encode(repository.keyring.writer.publicKey.prefix(8))
    return "\(repository.cacheDirectory)/listings/\(writer)-\(name)"
  }

  private static func key(_ keyring: Keyring, salt: [UInt8]) -> [UInt8] {
    KeyDerivation.hkdf(keyring.listKey, salt: salt, "yester local listings 1")
  }

  /// Writes a new copy; it takes the place of the old one when it is whole. For any thread.
  package final class Recorder: Sendable {
    private struct State: ~Copyable {
      let cipher = AESGCM()
      var buffered = ByteWriter(capacity: 1 << 20)
      var seen: Set<ObjectID> = []
      var isBroken = false
    }
    private let file: Descriptor
    private let temporary: String
    private let path: String
    private let key: [UInt8]
    private let state: Mutex<State>

    package init(_ repository: Repository, path: String) throws(Errno) {
      self.path = path
      temporary = path + "." + Hex.encode(System.random(4))
      try Directory.makeAll(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]))
      file = try Descriptor.open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
      let salt = System.random(32)
      key = LocalListings.key(repository.keyring, salt: salt)
      var start = State()
      start.buffered.raw(magic)
      start.buffered.raw(salt)
      state = Mutex(start)
    }

    /// Without room for the copy there is none, and the next run reads all: no reason for this one to fail.
    package func add(_ id: ObjectID, _ bytes: UnsafeRawBufferPointer) {
      state.withLock { state in
        guard !state.isBroken, state.seen.insert(id).inserted else { return }
        let nonce = Nonce(4, UInt64(state.seen.count))
        let sealed = state.cipher.seal(Array(bytes), key: key, nonce: nonce, authenticating: id.bytes)
        state.buffered.id(id)
        state.buffered.u32(UInt32(sealed.count))
        state.buffered.raw(sealed)
        if state.buffered.count > 1 << 20 { flush(&state) }
      }
    }

    private func flush(_ state: inout State) {
      if (try? file.write(state.buffered.bytes)) == nil { state.isBroken = true }
      state.buffered.removeAll()
    }

    package func commit() throws(Errno) {
      let isWhole = state.withLock { state in
        flush(&state)
        return !state.isBroken
      }
      guard isWhole else { return }
      try file.sync()
      try FileSystem.rename(temporary.pathBytes, at: nil, to: path.pathBytes, at: nil)
    }

    deinit { try? FileSystem.removeFile(temporary.pathBytes, at: nil) }
  }

  /// Tree objects from the local copy.
  package final class Source: ChunkSource {
    private struct Location {
      let offset: Int64
      let length: Int
      let number: UInt64
    }
    private let file: Descriptor
    private let key: [UInt8]
    private let locations: [ObjectID: Location]
    private let identifiers: [KeySetID: Pool<KeyedHash>]

    /// Nil when there is no usable copy.
    package init?(_ repository: Repository, path: String) {
      guard let file = try? Descriptor.open(path), let size = try? file.status().size else { return nil }
      var header = [UInt8](repeating: 0, count: headerSize)
      guard (try? header.withUnsafeMutableBytes({ try file.read(into: $0, at: 0) })) == headerSize,
        header.starts(with: magic)
      else { return nil }
      var locations: [ObjectID: Location] = [:]
      var offset = Int64(headerSize)
      var head = [UInt8](repeating: 0, count: recordHeadSize)
      while offset < Int64(size) {
        guard (try? head.withUnsafeMutableBytes({ try file.read(into: $0, at: offset) })) == recordHeadSize,
          let id = ObjectID(Array(head[..<32]))
        else { return nil }
        let length = head.withUnsafeBytes {
          Int(UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: 32, as: UInt32.self)))
        }
        guard length <= Limits.chunkSizeMax + AESGCM.tagSize else { return nil }
        locations[id] = Location(
          offset: offset + Int64(recordHeadSize), length: length, number: UInt64(locations.count + 1))
        offset += Int64(recordHeadSize + length)
      }
      self.file = file
      self.locations = locations
      key = LocalListings.key(repository.keyring, salt: Array(header[8...]))
      identifiers = Dictionary(
        uniqueKeysWithValues: repository.keyring.keySets.map { set in
          (set.id, Pool { KeyedHash(key: set.record.idKey) })
        })
    }

    package func chunk(_ id: ObjectID, kind: ChunkKind) throws(YesterError) -> BytesSlice {
      guard let location = locations[id] else { throw YesterError(.failed, "The local copy of listings is incomplete") }
      var sealed = [UInt8](repeating: 0, count: location.length)
      let got = try? sealed.withUnsafeMutableBytes { try file.read(into: $0, at: location.offset) }
      guard got == location.length,
        let plain = try? AESGCM().open(
          sealed, key: key, nonce: Nonce(4, location.number), authenticating: id.bytes)
      else { throw YesterError(.failed, "The local copy of listings is damaged") }
      return BytesSlice(Bytes(plain), offset: 0, count: plain.count)
    }

    package func chunkID(_ digest: Digest, _ keySet: KeySetID) -> ObjectID? {
      identifiers[keySet]?.use { $0.chunkID(digest, kind: .data) }
    }
  }
}
