internal import ChunkCodec
internal import Platform
package import Reporting
internal import RepositoryFormat

/// Writing damaged objects anew, with the bytes that they had: no key is needed for it.
extension ProtectedStore {
  package enum Condition: Sendable {
    case sound
    /// The object is there, but its second copy is damaged or missing.
    case lacksCopy
    /// It is damaged or missing, and can be made good.
    case mendable
    case lost
  }

  /// Of objects that have a second copy.
  private static let wholeMax = 64 << 20

  /// `isProven`: the bytes of the object itself, `size` many, have been found to be what its name says.
  package func condition(of key: ObjectKey, size: UInt64, isProven: Bool) throws(YesterError) -> Condition {
    if isProven {
      if !Self.hasCopy(key, size: size) { return .sound }
      return try copy(key, limit: Self.wholeMax) == nil ? .lacksCopy : .sound
    }
    if key.contentID == nil, let first = try firstCopy(key) {
      guard let second = try copy(key, limit: Self.wholeMax) else { return .lacksCopy }
      return second == first ? .sound : .mendable
    }
    return try canMend(key) ? .mendable : .lost
  }

  /// Whether what is there of the object is enough to write it anew.
  package func canMend(_ key: ObjectKey) throws(YesterError) -> Bool {
    if let parity = try ParityReader(store, key) { return try rebuild(key, parity, into: nil) }
    return try sound(key) != nil
  }

  /// Writes an object and its second copy anew, as far as they are not what they were. False when too much is lost.
  package func mend(_ key: ObjectKey) throws(YesterError) -> Bool {
    if let parity = try ParityReader(store, key) {
      let upload = try store.beginUpload()
      do throws(YesterError) {
        guard try rebuild(key, parity, into: upload) else {
          upload.cancel()
          return false
        }
      } catch {
        upload.cancel()
        throw error
      }
      try upload.commit(as: key)
    } else {
      guard let bytes = try sound(key) else { return false }
      try write(key, bytes)
      if Self.hasCopy(key, size: UInt64(bytes.count)) { try write(.copy(of: key), SecondCopy.of(key, bytes)) }
    }
    log.remove(key)
    return true
  }

  private func write(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) {
    if key.contentID != nil {
      try store.put(key, bytes)
    } else if try firstCopy(key) != bytes {
      try store.replace(key, bytes)
    }
  }

  /// The object as it was, from itself or from its second copy; nil when both are damaged.
  private func sound(_ key: ObjectKey) throws(YesterError) -> [UInt8]? {
    let first = try firstCopy(key)
    if let first, SecondCopy.proves(key, first) { return first }
    // What no name proves is believed where nothing contradicts it.
    return try copy(key, limit: Self.wholeMax) ?? (key.contentID == nil ? first : nil)
  }

  /// Nil when it cannot be read.
  private func firstCopy(_ key: ObjectKey) throws(YesterError) -> [UInt8]? {
    do throws(YesterError) {
      return try store.get(key, limit: Self.wholeMax)
    } catch {
      guard error.isDamage else { throw error }
      return nil
    }
  }

  /// Makes the whole object from its content: the parity follows from that.
  private func rebuild(
    _ key: ObjectKey, _ parity: ParityReader, into upload: (any ObjectUpload)?
  ) throws(YesterError) -> Bool {
    let naming = ObjectNaming(.parity)
    let isWhole = try parity.forEachShard { (bytes) throws(YesterError) in
      naming.append(bytes)
      try upload?.append(bytes)
    }
    guard isWhole else { return false }
    let (tail, id) = naming.finish()
    guard id == key.contentID else { return false }
    try tail.withBytes { (tail) throws(YesterError) in try upload?.append(tail) }
    return true
  }
}
