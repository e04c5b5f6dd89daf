// Test doubles: a store in memory, and one that fails when it is told to.
internal import ChunkCodec
package import ObjectStores
internal import Platform
package import Reporting
package import RepositoryFormat

/// Objects in a dictionary. It keeps `StoreContract` as every store.
package final class MemoryStore: ObjectStore {
  private struct State {
    var objects: [String: [UInt8]] = [:]
    var uploads = 0
  }
  private let state = Monitor(State())
  package let location = "memory"
  package let localPath: String? = nil
  package let capabilities: StoreCapabilities = [.exclusivePut, .unnamedUpload]

  package init() {}

  /// With what is in another one now.
  package init(copying other: MemoryStore) {
    let objects = other.state.withLock { $0.objects }
    state.withLock { $0.objects = objects }
  }

  /// Uploads that were neither committed nor cancelled.
  package var openUploads: Int { state.withLock { $0.uploads } }
  package var paths: [String] { state.withLock { $0.objects.keys.sorted() } }

  package subscript(path: String) -> [UInt8]? {
    get { state.withLock { $0.objects[path] } }
    set { state.withLock { $0.objects[path] = newValue } }
  }

  /// Turns a bit in the middle of an object; in a pack, of its blocks.
  package func damage(_ key: ObjectKey) {
    guard var bytes = self[key.path], !bytes.isEmpty else { return }
    bytes[key.isPack ? max(bytes.count / 2, PackLayout.headerSize) : bytes.count / 2] ^= 1
    self[key.path] = bytes
  }

  package func size(_ key: ObjectKey) throws(YesterError) -> UInt64? { self[key.path].map { UInt64($0.count) } }

  package func get(_ key: ObjectKey, limit: Int) throws(YesterError) -> [UInt8]? {
    guard let bytes = self[key.path] else { return nil }
    guard bytes.count <= limit else { throw YesterError(.damaged, "\(key) is too large") }
    return bytes
  }

  package func get(
    _ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(YesterError) -> Bool {
    guard let bytes = self[key.path] else { return false }
    guard offset <= bytes.count, bytes.count - Int(offset) >= buffer.count else {
      throw YesterError(.damaged, "\(key) is cut off")
    }
    buffer.copyBytes(from: bytes[Int(offset)..<(Int(offset) + buffer.count)])
    return true
  }

  @discardableResult
  package func put(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    state.withLock { state in
      if let there = state.objects[key.path] {
        guard let id = key.contentID, ObjectID(nameOf: SHA256.hash(there)) != id,
          ObjectID(nameOf: SHA256.hash(bytes)) == id
        else { return false }
      }
      state.objects[key.path] = bytes
      return true
    }
  }

  package func replace(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) { self[key.path] = bytes }

  package func list(_ folder: ObjectFolder, _ body: (String, UInt64) throws(YesterError) -> Void) throws(YesterError) {
    try list(folder.rawValue + "/", body)
  }

  package func listCopies(
    of folder: ObjectFolder, _ body: (String, UInt64) throws(YesterError) -> Void
  ) throws(YesterError) {
    try list("copies/\(folder.rawValue)/", body)
  }

  private func list(_ prefix: String, _ body: (String, UInt64) throws(YesterError) -> Void) throws(YesterError) {
    let found = state.withLock { $0.objects.filter { $0.key.hasPrefix(prefix) } }
    for (path, bytes) in found {
      try body(String(path[(path.lastIndex(of: "/") ?? path.startIndex)...].dropFirst()), UInt64(bytes.count))
    }
  }

  package func delete(_ key: ObjectKey) throws(YesterError) { self[key.path] = nil }

  package func beginUpload() throws(YesterError) -> any ObjectUpload {
    state.withLock { $0.uploads += 1 }
    return Upload(self)
  }

  private final class Upload: ObjectUpload {
    private let store: MemoryStore
    private let bytes = Monitor([UInt8]?.some([]))
    init(_ store: MemoryStore) { self.store = store }

    func append(_ part: UnsafeRawBufferPointer) throws(YesterError) {
      let isOpen = bytes.withLock { bytes in
        bytes?.append(contentsOf: part)
        return bytes != nil
      }
      guard isOpen else { throw YesterError(.failed, "the upload was ended") }
    }

    func commit(as key: ObjectKey) throws(YesterError) -> Bool {
      guard let whole = end() else { throw YesterError(.failed, "the upload was ended") }
      return try store.put(key, whole)
    }

    func cancel() { _ = end() }

    private func end() -> [UInt8]? {
      let whole: [UInt8]? = bytes.withLock { bytes in
        defer { bytes = nil }
        return bytes
      }
      if whole != nil { store.state.withLock { $0.uploads -= 1 } }
      return whole
    }
  }
}

/// Passes everything on, and fails at one call or from one call on.
package final class FaultyStore: StoreWrapper {
  package enum Mode: String, CaseIterable { case once, forGood, afterwards }
  private struct State {
    var calls = 0
    var failures = 0
  }
  package let store: any ObjectStore
  /// The number of the first call that fails, from 1; 0 for none.
  private let call: Int
  private let mode: Mode
  private let state = Monitor(State())

  package init(_ store: any ObjectStore, failingAt call: Int = 0, _ mode: Mode = .once) {
    self.store = store
    self.call = call
    self.mode = mode
  }

  package var calls: Int { state.withLock { $0.calls } }
  package var hasFailed: Bool { state.withLock { $0.failures > 0 } }

  /// `afterwards`: the call does its work, but its answer is lost.
  fileprivate func call<Value>(_ body: () throws(YesterError) -> Value) throws(YesterError) -> Value {
    let isFailing = state.withLock { state in
      state.calls += 1
      let isFailing = call > 0 && (mode == .forGood ? state.calls >= call : state.calls == call)
      if isFailing { state.failures += 1 }
      return isFailing
    }
    guard isFailing else { return try body() }
    if mode == .afterwards { _ = try body() }
    throw YesterError(.failed, "an injected failure", cause: .inputOutput)
  }

  package func size(_ key: ObjectKey) throws(YesterError) -> UInt64? {
    try call { () throws(YesterError) in try store.size(key) }
  }
  package func get(_ key: ObjectKey, limit: Int) throws(YesterError) -> [UInt8]? {
    try call { () throws(YesterError) in try store.get(key, limit: limit) }
  }
  package func get(
    _ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(YesterError) -> Bool {
    try call { () throws(YesterError) in try store.get(key, at: offset, into: buffer) }
  }
  @discardableResult
  package func put(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    try call { () throws(YesterError) in try store.put(key, bytes) }
  }
  @discardableResult
  package func putBriefly(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    try call { () throws(YesterError) in try store.putBriefly(key, bytes) }
  }
  @discardableResult
  package func put(_ key: ObjectKey, content: any ObjectContent) throws(YesterError) -> Bool {
    try call { () throws(YesterError) in try store.put(key, content: content) }
  }
  package func ids(_ folder: ObjectFolder) throws(YesterError) -> [ObjectID] {
    try call { () throws(YesterError) in try store.ids(folder) }
  }
  package func list(_ folder: ObjectFolder, _ body: (String, UInt64) throws(YesterError) -> Void) throws(YesterError) {
    try call { () throws(YesterError) in try store.list(folder, body) }
  }
  package func replace(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) {
    try call { () throws(YesterError) in try store.replace(key, bytes) }
  }
  package func listCopies(
    of folder: ObjectFolder, _ body: (String, UInt64) throws(YesterError) -> Void
  ) throws(YesterError) {
    try call { () throws(YesterError) in try store.listCopies(of: folder, body) }
  }
  package func delete(_ key: ObjectKey) throws(YesterError) {
    try call { () throws(YesterError) in try store.delete(key) }
  }
  package func beginUpload() throws(YesterError) -> any ObjectUpload {
    // An upload whose beginning fails afterwards would stay with nobody.
    if mode == .afterwards { return Upload(self, try store.beginUpload()) }
    return Upload(self, try call { () throws(YesterError) in try store.beginUpload() })
  }

  private final class Upload: ObjectUpload {
    private let store: FaultyStore
    private let base: any ObjectUpload
    init(_ store: FaultyStore, _ base: any ObjectUpload) {
      self.store = store
      self.base = base
    }
    func append(_ bytes: UnsafeRawBufferPointer) throws(YesterError) {
      try store.call { () throws(YesterError) in try base.append(bytes) }
    }
    func commit(as key: ObjectKey) throws(YesterError) -> Bool {
      try store.call { () throws(YesterError) in try base.commit(as: key) }
    }
    func cancel() { base.cancel() }
  }
}
