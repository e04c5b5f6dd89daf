// A test double: a store that lists an object and does not give it, as a disk or server in trouble may.
package import ObjectStores
package import Reporting

/// Passes everything on, and says of one object that there is none where it is asked for.
package final class BlindStore: StoreWrapper {
  package let store: any ObjectStore
  private let hidden: ObjectKey

  package init(_ store: any ObjectStore, to hidden: ObjectKey) {
    self.store = store
    self.hidden = hidden
  }

  package func size(_ key: ObjectKey) throws(YesterError) -> UInt64? {
    key == hidden ? nil : try store.size(key)
  }
  package func get(_ key: ObjectKey, limit: Int) throws(YesterError) -> [UInt8]? {
    key == hidden ? nil : try store.get(key, limit: limit)
  }
  package func get(
    _ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(YesterError) -> Bool {
    if key == hidden { return false }
    return try store.get(key, at: offset, into: buffer)
  }
}
