package import Reporting
package import RepositoryFormat

/// A store around another one, which changes some of its calls and passes on all others.
///
/// Passed on is each call for itself: who changes `put` has to look at `putBriefly`, `put(_:content:)`, `replace` and
/// `beginUpload`,
/// and who changes `list`, at `ids` and `listCopies`.
package protocol StoreWrapper: ObjectStore {
  var store: any ObjectStore { get }
}

extension StoreWrapper {
  package var location: String { store.location }
  package var localPath: String? { store.localPath }
  package var capabilities: StoreCapabilities { store.capabilities }

  package func size(_ key: ObjectKey) throws(YesterError) -> UInt64? { try store.size(key) }
  package func get(_ key: ObjectKey, limit: Int) throws(YesterError) -> [UInt8]? { try store.get(key, limit: limit) }
  package func get(
    _ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(YesterError) -> Bool {
    try store.get(key, at: offset, into: buffer)
  }
  @discardableResult
  package func put(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool { try store.put(key, bytes) }
  @discardableResult
  package func putBriefly(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    try store.putBriefly(key, bytes)
  }
  @discardableResult
  package func put(_ key: ObjectKey, content: any ObjectContent) throws(YesterError) -> Bool {
    try store.put(key, content: content)
  }
  package func replace(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) { try store.replace(key, bytes) }
  package func ids(_ folder: ObjectFolder) throws(YesterError) -> [ObjectID] { try store.ids(folder) }
  package func beginUpload() throws(YesterError) -> any ObjectUpload { try store.beginUpload() }
  package func list(
    _ folder: ObjectFolder, _ body: (_ name: String, _ size: UInt64) throws(YesterError) -> Void
  ) throws(YesterError) {
    try store.list(folder, body)
  }
  package func listCopies(
    of folder: ObjectFolder, _ body: (_ name: String, _ size: UInt64) throws(YesterError) -> Void
  ) throws(YesterError) {
    try store.listCopies(of: folder, body)
  }
  package var healing: ProtectedStore? { store.healing }
  package func delete(_ key: ObjectKey) throws(YesterError) { try store.delete(key) }
  package func removeAbandonedUploads() throws(YesterError) { try store.removeAbandonedUploads() }
  package func space() throws(YesterError) -> StoreSpace? { try store.space() }
}
