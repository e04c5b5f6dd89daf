internal import Platform
package import Reporting

/// Passes on what reads, and refuses whatever would change something.
package struct ReadOnlyStore: StoreWrapper {
  package let store: any ObjectStore

  package init(_ store: any ObjectStore) { self.store = store }

  private var refusal: YesterError {
    YesterError(
      .failed, "The repository \(location) was opened for reading only",
      advice: "Nothing is written under an old epoch. Run the command without YESTER_EPOCH.", cause: .readOnly)
  }

  package func put(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool { throw refusal }
  package func putBriefly(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool { throw refusal }
  package func put(_ key: ObjectKey, content: any ObjectContent) throws(YesterError) -> Bool { throw refusal }
  package func replace(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) { throw refusal }
  package func beginUpload() throws(YesterError) -> any ObjectUpload { throw refusal }
  package func delete(_ key: ObjectKey) throws(YesterError) { throw refusal }
  package func removeAbandonedUploads() throws(YesterError) { throw refusal }
}
