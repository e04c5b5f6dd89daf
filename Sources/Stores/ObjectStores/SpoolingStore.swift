internal import Synchronization
package import Reporting

/// A store that takes uploads before their keys are known, around one that cannot, or that has to be able to send them
/// again: an upload waits in a spool until it is whole, and is then put. Nothing is hashed or checked on the way.
package final class SpoolingStore: StoreWrapper {
  package let store: any ObjectStore
  private let spool: Spool

  package init(_ store: any ObjectStore, _ spool: Spool) {
    self.store = store
    self.spool = spool
  }

  package var capabilities: StoreCapabilities { store.capabilities.union(.unnamedUpload) }
  package func beginUpload() throws(YesterError) -> any ObjectUpload { SpooledUpload(try spool.makeFile(), to: store) }
}

final class SpooledUpload: ObjectUpload {
  private let store: any ObjectStore
  /// Nil when it was committed, cancelled, or could not be written.
  private let file: Mutex<SpoolFile?>

  init(_ file: SpoolFile, to store: any ObjectStore) {
    self.store = store
    self.file = Mutex(file)
  }

  func append(_ bytes: UnsafeRawBufferPointer) throws(YesterError) {
    guard let file = file.withLock({ $0 }) else { throw ended }
    do {
      try file.append(bytes)
    } catch {
      cancel()
      throw error
    }
  }

  func commit(as key: ObjectKey) throws(YesterError) -> Bool {
    guard let file = file.withLock({ $0.take() }) else { throw ended }
    return try store.put(key, content: file)
  }

  func cancel() { file.withLock { $0 = nil } }

  private var ended: YesterError { YesterError(.failed, "The upload to \(store.location) was ended before") }
}
