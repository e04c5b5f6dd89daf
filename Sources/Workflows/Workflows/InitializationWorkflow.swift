package import ChunkCodec
package import ObjectStores
internal import RepositoryCore
package import RepositoryFormat

/// Makes a new repository. A key file that was made for it stays only when the repository was made: a key that opens
/// nothing would be taken for one that does.
package struct InitializationWorkflow {
  package struct Result: Sendable {
    package let config: RepositoryConfig
    /// Sentences on what the file system there keeps less well than others.
    package let limitations: [String]
    /// Nil where none was made.
    package let madeKeyFile: String?
  }

  /// Where the repository is to be: a place that has nothing yet.
  package var location: String
  /// The kinds of store that there are.
  package var stores: StoreRegistry
  /// The file that holds the key, or is to get a new one; nil where the secret comes from elsewhere.
  package var keyFile: String?
  /// What the first key is called.
  package var label: String

  /// Nil for what suits the kind of store: a directory is perhaps on one disk, which nobody else protects.
  package var protection: Protection?

  package init(
    location: String, stores: StoreRegistry, keyFile: String?, label: String, protection: Protection? = nil
  ) {
    self.location = location
    self.stores = stores
    self.keyFile = keyFile
    self.label = label
    self.protection = protection
  }

  /// `secret` is asked for what opens the repository, when the key file is there. Throws `YesterError`.
  package func run(secret: () throws -> Secret) throws -> Result {
    // A kind of store that there is not should be told before anybody types a password.
    _ = try stores.resolve(location)
    guard let keyFile else {
      let (config, limitations) = try make(secret)
      return Result(config: config, limitations: limitations, madeKeyFile: nil)
    }
    let (made, wasMade) = try KeyFile.withFile(at: keyFile) { try make(secret) }
    return Result(config: made.config, limitations: made.limitations, madeKeyFile: wasMade ? keyFile : nil)
  }

  private func make(_ secret: () throws -> Secret) throws -> (config: RepositoryConfig, limitations: [String]) {
    let secret = try secret()
    var limitations: [String] = []
    let store = try stores.create(location) { limitations.append($0) }
    let protection = self.protection ?? (store.localPath == nil ? .none : .parity)
    let config = try Repository.create(in: store, secret: secret, label: label, protection: protection)
    return (config, limitations)
  }
}
