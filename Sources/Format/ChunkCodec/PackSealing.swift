package import Platform
package import RepositoryFormat

/// A pack's own key and the header that carries it.
package struct PackKey: Sendable {
  package let kind: ChunkKind
  let dataKey: [UInt8]

  /// A new pack's key, and its header.
  package static func make(_ kind: ChunkKind, _ keyring: Keyring) throws(FormatError) -> (PackKey, header: [UInt8]) {
    let sender = RepositorySealing.Sender()
    let dataKey = System.random(32)
    let start = PackLayout.headerStart(
      kind, repository: keyring.repository, keySet: keyring.current.id, ephemeralKey: sender.ephemeral.publicKey)
    let wrapped = try sender.wrap(
      dataKey, for: keyring.current, .pack, repository: keyring.repository, authenticating: start)
    let header = start + wrapped + keyring.writer.publicKey
    let signature = Ed25519.sign(signed(header), privateKey: keyring.writer.privateKey)
    return (PackKey(kind: kind, dataKey: dataKey), header + signature)
  }

  /// What the writer signs. Nobody but the writer and the full keys knows the data key that the header holds: whatever
  /// opens under it is the writer's word.
  private static func signed(_ header: some Sequence<UInt8>) -> [UInt8] { Array("yester pack 1".utf8) + header }

  package struct Opened: Sendable {
    package let key: PackKey
    package let keySet: KeySet
    /// The public key of the pack's writer; nil where its signature is wrong. Chunks prove themselves by their ids, so
    /// that they can be read all the same.
    package let writer: [UInt8]?
  }

  /// From a pack's header. Throws when the keyring cannot read packs.
  package static func open(header bytes: [UInt8], _ keyring: Keyring) throws(FormatError) -> Opened {
    let header = try PackLayout.readHeader(bytes, of: keyring.repository)
    guard let keySet = keyring.keySet(header.keySet) else {
      throw FormatError("it was sealed with keys that this key slot does not hold", .needsOtherKey)
    }
    let start = Array(bytes.prefix(PackLayout.authenticatedHeaderSize))
    guard
      let dataKey = try RepositorySealing.unwrap(
        header.wrappedKey + header.commitment, ephemeral: header.ephemeralKey, keySet: keySet, .pack,
        repository: keyring.repository, authenticating: start)
    else { throw FormatError("a write-only key cannot read what is stored", .needsOtherKey) }
    let isSigned = Ed25519.verify(
      header.signature, of: signed(bytes.prefix(PackLayout.signedHeaderSize)), publicKey: header.writer)
    return Opened(
      key: PackKey(kind: header.kind, dataKey: dataKey), keySet: keySet, writer: isSigned ? header.writer : nil)
  }

  package func sealDirectory(_ directory: PackDirectory) -> [UInt8] {
    AESGCM().seal(directory.encode(), key: dataKey, nonce: .directory, authenticating: [])
  }

  package func openDirectory(_ sealed: [UInt8], offset: Int) throws(FormatError) -> PackDirectory {
    guard let plain = try? AESGCM().open(sealed, key: dataKey, nonce: .directory, authenticating: []) else {
      throw FormatError("the pack's directory is damaged")
    }
    return try PackDirectory(decoding: plain, directoryOffset: offset)
  }

  func blockExtra(compression: Compression, plainLength: Int) -> [UInt8] {
    var out = ByteWriter(capacity: 6)
    out.u8(kind.rawValue)
    out.u8(compression.rawValue)
    out.u32(UInt32(plainLength))
    return out.bytes
  }
}

/// Compresses and seals blocks, and opens them: a worker's contexts. For one thread at a time.
package final class BlockCodec {
  private let cipher = AESGCM()
  private let zstd: Zstd
  private lazy var packed = Bytes(capacity: Limits.blockSizeMax + 65536)
  private lazy var check = Bytes(capacity: Limits.blockSizeMax)

  /// `level` as for `Zstd`.
  package init(level: Int? = nil) { zstd = Zstd(level: level) }

  /// Compresses `plain` if that saves at least a 32nd, seals it, and proves that it can be opened again. `memory` gives
  /// a buffer for so many bytes.
  package func seal(
    _ plain: UnsafeRawBufferPointer, key: PackKey, number: UInt32, memory: (Int) -> Bytes = { Bytes(capacity: $0) }
  ) throws(FormatError) -> (bytes: Bytes, compression: Compression) {
    precondition(plain.count <= Limits.blockSizeMax, "a block is larger than blocks may be")
    let room = plain.count - plain.count / 32
    let size = room > 64 ? zstd.compress(plain, into: packed.base, room: room) : nil
    let compression: Compression = size == nil ? .none : .zstd
    let content = size.map { UnsafeRawBufferPointer(start: packed.base, count: $0) } ?? plain
    let sealed = memory(content.count + AESGCM.tagSize)
    cipher.seal(
      content, key: key.dataKey, nonce: .block(number),
      authenticating: key.blockExtra(compression: compression, plainLength: plain.count), into: sealed.base)
    sealed.count = content.count + AESGCM.tagSize
    try prove(sealed, holds: plain, key, number, compression)
    return (sealed, compression)
  }

  /// What is stored is opened once before: a fault of memory or processor must show while the source is there.
  private func prove(
    _ sealed: Bytes, holds plain: UnsafeRawBufferPointer, _ key: PackKey, _ number: UInt32, _ compression: Compression
  ) throws(FormatError) {
    let location = BlockLocation(
      number: number, offset: 0, sealedLength: UInt32(sealed.count), plainLength: UInt32(plain.count),
      compression: compression)
    let isSame = try check.withRoom(plain.count) { out throws(FormatError) in
      _ = try sealed.withFilled { bytes throws(FormatError) in
        try open(bytes, key: key, location, into: out, by: packed.base)
      }
      return UnsafeRawBufferPointer(out).equals(plain)
    }
    guard isSame else {
      throw FormatError("a block came out different from what went in: this machine's memory may be faulty")
    }
  }

  /// Opens a block into `out`, which has the block's plain length; with `count`, only so much of its beginning need be
  /// unpacked. How many bytes are good. Its compressed bytes go to `scratch`, which has room for as much as `sealed`
  /// holds, and may be where `sealed` is.
  @discardableResult
  package func open(
    _ sealed: UnsafeRawBufferPointer, key: PackKey, _ location: BlockLocation, upTo count: Int? = nil,
    into out: UnsafeMutableRawBufferPointer, by scratch: UnsafeMutableRawPointer
  ) throws(FormatError) -> Int {
    guard out.count == Int(location.plainLength), out.count <= Limits.blockSizeMax,
      sealed.count == Int(location.sealedLength), sealed.count >= AESGCM.tagSize
    else { throw FormatError("a block has impossible lengths") }
    let extra = key.blockExtra(compression: location.compression, plainLength: out.count)
    let length = sealed.count - AESGCM.tagSize
    switch location.compression {
    case .none:
      guard length == out.count, let base = out.baseAddress else { throw FormatError("a block has impossible lengths") }
      try decrypt(sealed, key, location.number, extra, into: base)
      return out.count
    case .zstd:
      try decrypt(sealed, key, location.number, extra, into: scratch)
      let packed = UnsafeRawBufferPointer(start: scratch, count: length)
      if let count, count < out.count { return try zstd.decompress(packed, upTo: count, into: out) }
      try zstd.decompress(packed, into: out)
      return out.count
    }
  }

  private func decrypt(
    _ sealed: UnsafeRawBufferPointer, _ key: PackKey, _ number: UInt32, _ extra: [UInt8],
    into out: UnsafeMutableRawPointer
  ) throws(FormatError) {
    do throws(AuthenticationFailure) {
      try cipher.open(sealed, key: key.dataKey, nonce: .block(number), authenticating: extra, into: out)
    } catch {
      throw FormatError("a block is damaged")
    }
  }
}
