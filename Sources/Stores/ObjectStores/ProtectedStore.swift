internal import ChunkCodec
internal import Platform
package import Reporting
internal import RepositoryFormat

/// A store whose objects survive damage (docs/format.md, section 12): large packs and segments of the index have parity
/// behind their content, which whoever makes them appends (`ObjectNaming`), and of every other object but leases there
/// is a second copy under `copies/`.
///
/// **Order.** A second copy is written when the first is durable, and deleted before it. So what has a copy alone was
/// not deleted on purpose but for a crash between two deletions, or of a machine that lost one of them; what comes back
/// then is an object that nobody needs, which the next `prune` or `rotate` deletes again.
///
/// **Reading.** `get` of a whole object looks at what it has read and takes the second copy where the first is damaged.
/// Parts of packs and segments are checked by their readers, by seals and ids: where these find damage, they read the
/// part again through `read`. Whatever is made good is told to `log`, once for each object.
package final class ProtectedStore: StoreWrapper {
  package let store: any ObjectStore
  /// What was found damaged, or missing, and made good.
  package let log: DamageLog
  package var healing: ProtectedStore? { self }

  package init(_ store: any ObjectStore, _ log: DamageLog = DamageLog()) {
    self.store = store
    self.log = log
  }

  /// Whether an object of `size` bytes has a second copy.
  package static func hasCopy(_ key: ObjectKey, size: UInt64) -> Bool {
    !key.isLease && !(key.isBulk && size >= ParityLayout.contentSizeMin)
  }

  // MARK: Writing

  @discardableResult
  package func put(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    let isNew = try store.put(key, bytes)
    // What is named by its content is ours as well when it was there.
    if isNew || key.contentID != nil { try putCopy(key, bytes) }
    return isNew
  }

  @discardableResult
  package func put(_ key: ObjectKey, content: any ObjectContent) throws(YesterError) -> Bool {
    let isNew = try store.put(key, content: content)
    if Self.hasCopy(key, size: content.size), isNew || key.contentID != nil {
      var bytes: [UInt8] = []
      try content.forEachPart { (_, part) throws(YesterError) in bytes.append(contentsOf: part) }
      try putCopy(key, bytes)
    }
    return isNew
  }

  package func replace(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) {
    try store.replace(key, bytes)
    if Self.hasCopy(key, size: UInt64(bytes.count)) { try store.replace(.copy(of: key), SecondCopy.of(key, bytes)) }
  }

  package func beginUpload() throws(YesterError) -> any ObjectUpload {
    ProtectedUpload(try store.beginUpload(), to: self)
  }

  fileprivate func putCopy(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) {
    guard Self.hasCopy(key, size: UInt64(bytes.count)) else { return }
    let copy = ObjectKey.copy(of: key)
    try store.put(copy, SecondCopy.of(key, bytes))
    // Who deleted the object meanwhile has found no copy to delete.
    if try store.size(key) == nil { try store.delete(copy) }
  }

  package func delete(_ key: ObjectKey) throws(YesterError) {
    if !key.isLease { try store.delete(.copy(of: key)) }
    try store.delete(key)
  }

  // MARK: Reading

  package func get(_ key: ObjectKey, limit: Int) throws(YesterError) -> [UInt8]? {
    if key.isLease { return try store.get(key, limit: limit) }
    var first: [UInt8]?
    var failure: YesterError?
    do throws(YesterError) {
      first = try store.get(key, limit: limit)
    } catch {
      guard error.isDamage else { throw error }
      failure = error
    }
    if let first, SecondCopy.proves(key, first) { return first }
    guard let second = try copy(key, limit: limit) else {
      if let failure { throw failure }
      return first
    }
    if second == first { return first }
    log.add(key, first == nil && failure == nil ? .missing : .damaged)
    return second
  }

  /// The second copy; nil when there is none that is sound.
  func copy(_ key: ObjectKey, limit: Int) throws(YesterError) -> [UInt8]? {
    do throws(YesterError) {
      return try store.get(.copy(of: key), limit: limit + SecondCopy.hashSize).flatMap { SecondCopy.open(key, $0) }
    } catch {
      guard error.isDamage else { throw error }
      return nil
    }
  }

  /// As `get` of a part, for a part that was found damaged: every byte of it is checked by sums, or by the object's
  /// name, and made good. False where there is no such object, or where it cannot be made good.
  package func read(
    _ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(YesterError) -> Bool {
    if let parity = try ParityReader(store, key) {
      guard try parity.read(at: offset, into: buffer) else { return false }
      if parity.hasCorrected { log.add(key, .damaged) }
      return true
    }
    guard let bytes = try small(key), offset <= UInt64(bytes.count) else { return false }
    guard UInt64(bytes.count) - offset >= UInt64(buffer.count) else { return false }
    buffer.copyBytes(from: bytes[Int(offset)...].prefix(buffer.count))
    return true
  }

  /// The size that a pack or segment had when it was made; nil where nobody can say, or where there is no such object.
  package func originalSize(_ key: ObjectKey) throws(YesterError) -> UInt64? {
    if let parity = try ParityReader(store, key) { return parity.layout.objectSize }
    return try small(key).map { UInt64($0.count) }
  }

  /// A pack or segment that has no parity, proven; nil when it is not there, larger, or lost.
  private func small(_ key: ObjectKey) throws(YesterError) -> [UInt8]? {
    do throws(YesterError) {
      guard let bytes = try get(key, limit: Int(ParityLayout.contentSizeMin)), SecondCopy.proves(key, bytes) else {
        return nil
      }
      return bytes
    } catch {
      guard error.isDamage else { throw error }
      return nil
    }
  }
}

/// A second copy as it is stored. What is not named by its content has its SHA-256 behind it: otherwise nobody could say
/// which of two that differ is damaged.
enum SecondCopy {
  static let hashSize = 32

  static func of(_ key: ObjectKey, _ bytes: [UInt8]) -> [UInt8] {
    isNamed(key) ? bytes : bytes + SHA256.hash(bytes).bytes
  }

  /// The object; nil when the copy is damaged.
  static func open(_ key: ObjectKey, _ stored: [UInt8]) -> [UInt8]? {
    if isNamed(key) { return proves(key, stored) ? stored : nil }
    guard stored.count >= hashSize else { return nil }
    let bytes = Array(stored.dropLast(hashSize))
    return SHA256.hash(bytes).bytes == Array(stored.suffix(hashSize)) ? bytes : nil
  }

  /// Whether the bytes themselves show that they are the object's.
  static func proves(_ key: ObjectKey, _ bytes: [UInt8]) -> Bool {
    if let id = key.contentID { return ObjectID(nameOf: SHA256.hash(bytes)) == id }
    return key == .config && (try? RepositoryConfig(decoding: bytes) { SHA256.hash($0).bytes }) != nil
  }

  private static func isNamed(_ key: ObjectKey) -> Bool { key.contentID != nil }
}

extension YesterError {
  /// Of the object or of the disk below it: what is there cannot be read, though others can.
  package var isDamage: Bool { code == .damaged || cause == .inputOutput }
}

/// Damage that was met and made good, each object once. For any thread.
package final class DamageLog: Sendable {
  package enum Kind: Sendable { case damaged, missing }

  private static let sizeMax = 10_000
  private let found = Monitor<[ObjectKey: Kind]>([:])
  private let tell: @Sendable (String) -> Void

  /// `tell` is called with a sentence for the user, once for each object.
  package init(tell: @escaping @Sendable (String) -> Void = { _ in }) { self.tell = tell }

  /// What was met so far.
  package var objects: [ObjectKey: Kind] { found.withLock { $0 } }

  package func add(_ key: ObjectKey, _ kind: Kind) {
    let isNew = found.withLock { found in
      guard found[key] == nil, found.count < Self.sizeMax else { return false }
      found[key] = kind
      return true
    }
    guard isNew else { return }
    tell(
      "The object \(key) is \(kind == .missing ? "missing" : "damaged"); "
        + (kind == .missing ? "its second copy takes its place" : "what is lost of it was made good")
        + ". Run \"yester verify --repair\" to mend it for good.")
  }

  /// What was mended since is told again when it is met again.
  package func remove(_ key: ObjectKey) { found.update { $0[key] = nil } }
}

/// Keeps what it sends until it is known whether that is small enough to have a second copy.
private final class ProtectedUpload: ObjectUpload {
  private let upload: any ObjectUpload
  private let store: ProtectedStore
  /// Nil when the object is too large.
  private let kept = Monitor<[UInt8]?>([])

  init(_ upload: any ObjectUpload, to store: ProtectedStore) {
    self.upload = upload
    self.store = store
  }

  func append(_ bytes: UnsafeRawBufferPointer) throws(YesterError) {
    try upload.append(bytes)
    kept.update { kept in
      guard let count = kept?.count else { return }
      if UInt64(count + bytes.count) < ParityLayout.contentSizeMin {
        kept?.append(contentsOf: bytes)
      } else {
        kept = nil
      }
    }
  }

  func commit(as key: ObjectKey) throws(YesterError) -> Bool {
    precondition(key.isBulk, "only packs and segments of the index are uploaded")
    let isNew = try upload.commit(as: key)
    if let bytes = kept.withLock({ $0 }) { try store.putCopy(key, bytes) }
    return isNew
  }

  func cancel() {
    upload.cancel()
    kept.update { $0 = nil }
  }
}
