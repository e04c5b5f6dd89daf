package import Platform
package import RepositoryFormat

/// The signature at the end of an index segment: who has made it, and so for what it counts (`Roster`).
package enum IndexSignature {
  private static func message(_ digest: Digest) -> [UInt8] { Array("yester index 1".utf8) + digest.bytes }

  /// 64 bytes, for the hash of all bytes before.
  package static func make(_ digest: Digest, _ keyring: Keyring) -> [UInt8] {
    Ed25519.sign(message(digest), privateKey: keyring.writer.privateKey)
  }

  package static func isValid(_ signature: [UInt8], of digest: Digest, by writer: [UInt8]) -> Bool {
    Ed25519.verify(signature, of: message(digest), publicKey: writer)
  }
}

/// Index segments in sealed frames (docs/format.md, section 7): sealed and opened as a stream, so that a segment of
/// any size takes little memory.
package struct IndexSealer: ~Copyable {
  private let key: [UInt8]
  private let cipher = AESGCM()
  private var frame = ByteWriter(capacity: IndexLayout.frameSize)
  private var number: UInt64 = 0
  package let header: [UInt8]

  package init(_ keyring: Keyring) {
    let salt = System.random(32)
    var start = ByteWriter(capacity: IndexLayout.segmentHeaderSize)
    CommonHeader.write(.index, keyring.repository, to: &start)
    start.raw(keyring.current.id.bytes)
    start.raw(salt)
    start.raw(keyring.writer.publicKey)
    header = start.bytes
    key = KeyDerivation.hkdf(keyring.current.record.indexKey, salt: salt, "yester index 1")
  }

  /// Takes part of the body and calls `emit` with each sealed frame that is complete.
  package mutating func write<Failure: Error>(
    _ bytes: UnsafeRawBufferPointer, emit: ([UInt8]) throws(Failure) -> Void
  ) throws(Failure) {
    var rest = bytes
    while !rest.isEmpty {
      // A full frame goes out only when more follows: the last one is marked as such.
      if frame.count == IndexLayout.frameSize { try emit(seal(isLast: false)) }
      let part = min(rest.count, IndexLayout.frameSize - frame.count)
      frame.raw(UnsafeRawBufferPointer(rebasing: rest[..<part]))
      rest = UnsafeRawBufferPointer(rebasing: rest[part...])
    }
  }

  /// The last frame; the signature follows it.
  package consuming func finish() -> [UInt8] { seal(isLast: true) }

  private mutating func seal(isLast: Bool) -> [UInt8] {
    defer {
      frame.removeAll()
      number += 1
    }
    return cipher.seal(frame.bytes, key: key, nonce: .frame(number), authenticating: [isLast ? 1 : 0])
  }
}

package enum IndexOpener {
  /// Reads sealed bytes by `read` (as many as asked for, fewer only before the signature) and hands each opened frame to
  /// `emit`. The public key of who says to have made the segment: whether that is so tells the signature alone.
  package static func open<Failure: Error>(
    _ keyring: Keyring, read: (Int) throws(Failure) -> [UInt8], emit: ([UInt8]) throws(Failure) -> Void,
    damaged: (FormatError) -> Failure
  ) throws(Failure) -> [UInt8] {
    let header = try read(IndexLayout.segmentHeaderSize)
    let keySetID: KeySetID
    let salt: [UInt8]
    let writer: [UInt8]
    do throws(FormatError) {
      (keySetID, salt, writer) = try header.read { (reader) throws(FormatError) in
        try CommonHeader.read(.index, of: keyring.repository, from: &reader)
        return (
          KeySetID(try reader.array(KeySetID.size)), try reader.array(32), try reader.array(IndexLayout.writerSize)
        )
      }
    } catch {
      throw damaged(error)
    }
    guard let keySet = keyring.keySet(keySetID) else {
      throw damaged(FormatError("it was sealed with keys that this key slot does not hold", .needsOtherKey))
    }
    let key = KeyDerivation.hkdf(keySet.record.indexKey, salt: salt, "yester index 1")
    let cipher = AESGCM()
    var number: UInt64 = 0
    var next = try read(IndexLayout.frameSize + AESGCM.tagSize)
    while true {
      let following = try read(IndexLayout.frameSize + AESGCM.tagSize)
      let isLast = following.isEmpty
      let plain: [UInt8]
      do throws(AuthenticationFailure) {
        plain = try cipher.open(next, key: key, nonce: .frame(number), authenticating: [isLast ? 1 : 0])
      } catch {
        throw damaged(FormatError("the index segment is damaged or cut off"))
      }
      try emit(plain)
      if isLast { return writer }
      next = following
      number += 1
    }
  }
}
