package import Platform
internal import RepositoryFormat

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

  /// The last frame.
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
  /// Reads sealed bytes by `read` (as many as asked for, fewer only at the end of the object) and hands each opened
  /// frame to `emit`.
  package static func open<Failure: Error>(
    _ keyring: Keyring, read: (Int) throws(Failure) -> [UInt8], emit: ([UInt8]) throws(Failure) -> Void,
    damaged: (FormatError) -> Failure
  ) throws(Failure) {
    let header = try read(IndexLayout.segmentHeaderSize)
    let keySetID: KeySetID
    do throws(FormatError) {
      keySetID = try header.read { (reader) throws(FormatError) in
        try CommonHeader.read(.index, of: keyring.repository, from: &reader)
        let id = KeySetID(try reader.array(8))
        _ = try reader.take(32)
        return id
      }
    } catch {
      throw damaged(error)
    }
    guard let keySet = keyring.keySet(keySetID) else {
      throw damaged(FormatError("it was sealed with keys that this key slot does not hold", .needsOtherKey))
    }
    let key = KeyDerivation.hkdf(keySet.record.indexKey, salt: Array(header[40...]), "yester index 1")
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
      if isLast { return }
      next = following
      number += 1
    }
  }
}
