internal import Platform
package import RepositoryFormat
package import Reporting

/// Which objects a repository has; the folder of their keys.
package enum ObjectFolder: String, Sendable, CaseIterable {
  case keys, epochs, packs, index, snapshots, leases, condemned
}

/// Names an object (docs/format.md, section 2).
package struct ObjectKey: Hashable, Sendable, CustomStringConvertible {
  /// The path of the object below the repository.
  package let path: String
  private init(path: String) { self.path = path }

  package static let config = ObjectKey(path: "config")
  package static func slot(_ id: ObjectID) -> ObjectKey { ObjectKey(path: "keys/\(id)") }
  package static func epoch(_ number: UInt64) -> ObjectKey {
    ObjectKey(path: "epochs/" + Hex.encode(withUnsafeBytes(of: number.bigEndian) { Array($0) }))
  }
  package static func pack(_ id: ObjectID) -> ObjectKey { ObjectKey(path: "packs/\(id.hex.prefix(2))/\(id)") }
  package static func index(_ id: ObjectID) -> ObjectKey { ObjectKey(path: "index/\(id)") }
  package static func snapshot(_ id: ObjectID) -> ObjectKey { ObjectKey(path: "snapshots/\(id)") }
  /// `name` is the lease's id in hexadecimal.
  package static func lease(_ name: String) -> ObjectKey { ObjectKey(path: "leases/\(name)") }

  /// The list of condemned packs with this number.
  package static func condemned(_ number: UInt64) -> ObjectKey {
    let digits = String(number, radix: 16)
    return ObjectKey(path: "condemned/" + String(repeating: "0", count: 16 - digits.count) + digits)
  }

  /// The object of a folder whose objects are named by an id.
  package static func object(_ id: ObjectID, in folder: ObjectFolder) -> ObjectKey {
    folder == .packs ? .pack(id) : ObjectKey(path: "\(folder.rawValue)/\(id)")
  }

  /// The object that a list of a folder calls `name`.
  package static func named(_ name: String, in folder: ObjectFolder) -> ObjectKey {
    let prefix = folder == .packs ? "\(name.prefix(2))/" : ""
    return ObjectKey(path: "\(folder.rawValue)/\(prefix)\(name)")
  }

  /// The second copy of an object.
  package static func copy(of key: ObjectKey) -> ObjectKey { ObjectKey(path: "copies/\(key.path)") }

  package var description: String { path }
  package var isPack: Bool { path.hasPrefix("packs/") }
  package var isLease: Bool { path.hasPrefix("leases/") }
  package var isCopy: Bool { path.hasPrefix("copies/") }
  /// Packs and index segments, which have parity when they are large.
  package var isBulk: Bool { isPack || path.hasPrefix("index/") }
  package var isSnapshot: Bool { path.hasPrefix("snapshots/") }
  package var isCondemnedList: Bool { path.hasPrefix("condemned/") }
  /// The SHA-256 of the object, for those that are named by it; nil for `config`, epochs, leases and lists of condemned
  /// packs.
  package var contentID: ObjectID? {
    guard !isLease, let slash = path.lastIndex(of: "/") else { return nil }
    return ObjectID(hex: path[path.index(after: slash)...])
  }
}

/// What a store can do beyond what every store must.
package struct StoreCapabilities: OptionSet, Sendable {
  package let rawValue: Int
  package init(rawValue: Int) { self.rawValue = rawValue }

  /// Of several that want a key at the same moment, on whatever machines, one gets it and the others are told so.
  package static let exclusivePut = StoreCapabilities(rawValue: 1 << 0)
  /// `beginUpload` sends an object while it is made, before its key is known. A store that cannot is to be used through
  /// a `SpoolingStore`.
  package static let unnamedUpload = StoreCapabilities(rawValue: 1 << 1)
}

/// Room for objects, in bytes.
package struct StoreSpace: Sendable, Equatable {
  package let total: UInt64
  /// What a user without privileges may still fill.
  package let available: UInt64

  package init(total: UInt64, available: UInt64) {
    self.total = total
    self.available = available
  }
}

/// Where objects are kept. Nothing more is asked of a store than this: no appending or locking, so that
/// object storage can serve as well as a directory. All calls may come from several threads.
///
/// The errors' `isTransient` says whether the same call may succeed soon. A store itself neither tries again nor slows
/// down: `RetryingStore` and `PacedStore` do that around any store. The tests check every store against `StoreContract`.
package protocol ObjectStore: Sendable {
  /// What to call the store in messages and JSON, without any secret. It is no path, even where it looks like one.
  var location: String { get }

  /// The directory of this machine in which the objects lie, absolute and without symbolic links; nil for any other
  /// store.
  var localPath: String? { get }

  var capabilities: StoreCapabilities { get }

  /// Size in bytes; nil when there is no such object.
  func size(_ key: ObjectKey) throws(YesterError) -> UInt64?

  /// The whole object; nil when there is none. Larger than `limit` is damage.
  func get(_ key: ObjectKey, limit: Int) throws(YesterError) -> [UInt8]?

  /// Fills `buffer` from `offset`; false when there is no such object. An object that ends before is damage.
  func get(_ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(YesterError) -> Bool

  /// Stores a small object unless the key is taken: then false, and what is there stays, unless it is damaged: under a
  /// name that is a SHA-256, what has another one is replaced by what has this one. When it returns, the object is
  /// whole and durable.
  @discardableResult
  func put(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool

  /// As `put`, for what a power failure may take away again as a whole: leases.
  @discardableResult
  func putBriefly(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool

  /// As `put`, for an object of any size. The content is read as often as it takes.
  @discardableResult
  func put(_ key: ObjectKey, content: any ObjectContent) throws(YesterError) -> Bool

  /// Stores a small object in the place of what its key has, at once: who reads finds the one or the other, whole. When
  /// it returns, the object is durable.
  func replace(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError)

  /// The ids in a folder whose objects are named by an id, sorted.
  func ids(_ folder: ObjectFolder) throws(YesterError) -> [ObjectID]

  /// Starts an object whose key becomes known with its last byte. Only where `capabilities` has `unnamedUpload`.
  func beginUpload() throws(YesterError) -> any ObjectUpload

  /// The names in a folder, each once, in no order: ids in hexadecimal, leases' names, or numbers of epochs and lists.
  /// Whatever is not such a name is left out. What `body` throws ends the list and comes out.
  func list(
    _ folder: ObjectFolder, _ body: (_ name: String, _ size: UInt64) throws(YesterError) -> Void
  ) throws(YesterError)

  /// As `list`, of the second copies of the objects in a folder.
  func listCopies(
    of folder: ObjectFolder, _ body: (_ name: String, _ size: UInt64) throws(YesterError) -> Void
  ) throws(YesterError)

  /// What makes good the damage of objects here; nil where they have neither parity nor second copies.
  var healing: ProtectedStore? { get }

  /// Deletes an object; one that is not there is no error.
  func delete(_ key: ObjectKey) throws(YesterError)

  /// Removes what uploads have left behind whose process is gone for certain. Never one that goes on.
  func removeAbandonedUploads() throws(YesterError)

  /// Nil where nobody can say, or where there is no bound.
  func space() throws(YesterError) -> StoreSpace?
}

/// An object on its way into a store. One thread at a time.
package protocol ObjectUpload: AnyObject, Sendable {
  func append(_ bytes: UnsafeRawBufferPointer) throws(YesterError)
  /// As `ObjectStore.put`: false when the key was taken.
  @discardableResult
  func commit(as key: ObjectKey) throws(YesterError) -> Bool
  func cancel()
}

extension ObjectStore {
  @discardableResult
  package func putBriefly(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool { try put(key, bytes) }

  @discardableResult
  package func put(_ key: ObjectKey, content: any ObjectContent) throws(YesterError) -> Bool {
    let upload = try beginUpload()
    do {
      try content.forEachPart { (_, part) throws(YesterError) in try upload.append(part) }
    } catch {
      upload.cancel()
      throw error
    }
    return try upload.commit(as: key)
  }

  package func ids(_ folder: ObjectFolder) throws(YesterError) -> [ObjectID] {
    var out: [ObjectID] = []
    try list(folder) { name, _ in if let id = ObjectID(hex: name) { out.append(id) } }
    return out.sorted()
  }

  /// For objects that were listed and that were not there to be read: fails unless the list has lost them, too. A store
  /// that lists what it does not give knows no more of it than that it is there.
  package func requireGone(_ ids: [ObjectID], from folder: ObjectFolder) throws(YesterError) {
    if ids.isEmpty { return }
    let listed = Set(try self.ids(folder))
    guard let id = ids.first(where: listed.contains) else { return }
    throw YesterError(
      .failed, "The repository \(location) lists the object \(ObjectKey.object(id, in: folder)) but does not give it",
      advice: "Check that its disk or server is connected and works, then run the command again.")
  }

  package func beginUpload() throws(YesterError) -> any ObjectUpload {
    throw YesterError(.failed, "The store \(location) takes no object before its name is known")
  }

  package var healing: ProtectedStore? { nil }
  /// What new objects of this store get.
  package var protection: Protection { healing == nil ? .none : .parity }

  package func removeAbandonedUploads() throws(YesterError) {}
  package func space() throws(YesterError) -> StoreSpace? { nil }
}
