package import ChunkCodec
internal import Glibc
package import ObjectStores
package import Platform
package import Reporting
package import RepositoryCore

/// Where the repository and its secret are to be found: what the programs take as options.
package struct RepositoryAccess: Sendable {
  /// The kinds of store that the program has.
  package let stores: StoreRegistry
  /// A location; or nil for `YESTER_REPOSITORY`.
  package var repository: String?
  package var keyFile: String?
  package var passwordFile: String?
  package var passwordCommand: String?
  /// A descriptor to read the password from; it is closed afterwards.
  package var passwordDescriptor: Int32?
  /// Asks a person for the password when nothing else is given: it shows the question, and gives nil where nobody can
  /// be asked. A library asks nobody by itself; nil where nobody is to be asked at all.
  package var askPassword: (@Sendable (_ question: String) throws(YesterError) -> [UInt8]?)?
  /// Called with a sentence for the user, such as that others can read the key file.
  package var warn: @Sendable (String) -> Void = { _ in }

  package init(stores: StoreRegistry) { self.stores = stores }

  /// The store without a look whether there is a repository in it. Throws error 10 when it is not there.
  package func store(_ settings: StoreSettings = StoreSettings()) throws(YesterError) -> any ObjectStore {
    try stores.open(location(), warning(settings))
  }

  /// Makes the store of a new repository. `onLimitation` is called with a sentence for whatever it does less well than
  /// others.
  package func createStore(onLimitation: (String) -> Void) throws(YesterError) -> any ObjectStore {
    try stores.create(location(), warning(StoreSettings()), onLimitation: onLimitation)
  }

  private func warning(_ settings: StoreSettings) -> StoreSettings {
    var settings = settings
    settings.warn = warn
    return settings
  }

  /// As it was given.
  package func location() throws(YesterError) -> String {
    guard let location = repository ?? System.environment("YESTER_REPOSITORY"), !location.isEmpty else {
      throw YesterError(
        .usage, "No repository was named", advice: "Use --repository PATH, or set YESTER_REPOSITORY.")
    }
    return location
  }

  /// `uploadLimit` is in bytes a second, and lifted by `end`.
  package func open(
    cacheSize: Int = 64 << 20, uploadLimit: Int? = nil, until end: CancellationFlag = CancellationFlag()
  ) throws(YesterError) -> Repository {
    var settings = StoreSettings()
    settings.uploadLimit = uploadLimit
    settings.end = end
    let store = try store(settings)
    // A wrong path should be told before anybody types a password.
    _ = try Repository.config(of: store)
    return try Repository.open(
      store, secret: secret(), cacheSize: cacheSize, stores: stores, epoch: epoch(), warn: warn)
  }

  /// An older epoch than the newest, for reading where that is unusable; nil for the newest.
  private func epoch() throws(YesterError) -> UInt64? {
    guard let text = System.environment("YESTER_EPOCH"), !text.isEmpty else { return nil }
    guard let number = UInt64(text), number > 0 else {
      throw YesterError(.usage, "YESTER_EPOCH is \"\(text)\", which is no number of an epoch")
    }
    warn("The repository is opened for reading, as its epoch \(number) says: keys that were removed since count.")
    return number
  }

  /// Options come before the environment, key files before passwords.
  package func secret(prompt: String = "Password of the repository: ") throws(YesterError) -> Secret {
    if let keyFile { return try readKey(keyFile) }
    if let passwordDescriptor { return try Self.readPassword(Descriptor(owning: passwordDescriptor), "the pipe") }
    if let passwordFile { return try readPassword(passwordFile) }
    if let passwordCommand { return .password(try Self.run(passwordCommand)) }
    if let path = System.environment("YESTER_KEY_FILE"), !path.isEmpty { return try readKey(path) }
    if let path = System.environment("YESTER_PASSWORD_FILE"), !path.isEmpty { return try readPassword(path) }
    if let command = System.environment("YESTER_PASSWORD_COMMAND"), !command.isEmpty {
      return .password(try Self.run(command))
    }
    if let password = System.environment("YESTER_PASSWORD"), !password.isEmpty {
      return .password(password.pathBytes)
    }
    if let askPassword, let password = try askPassword(prompt) { return .password(password) }
    throw YesterError(
      .usage, "No key or password was given",
      advice: "Use --key-file, --password-file or --password-command, or set YESTER_KEY_FILE or YESTER_PASSWORD.")
  }

  private static func openFile(_ path: String) throws(YesterError) -> Descriptor {
    do throws(Errno) {
      return try Descriptor.open(path)
    } catch {
      throw YesterError.system("Opening", path, error)
    }
  }

  package static func readKeyFile(_ path: String) throws(YesterError) -> Secret { try readKey(openFile(path), path) }

  private func readKey(_ path: String) throws(YesterError) -> Secret {
    let file = try Self.openFile(path)
    if let exposure = SecretFile.exposure(file, path: path) { warn(exposure) }
    return try Self.readKey(file, path)
  }

  private func readPassword(_ path: String) throws(YesterError) -> Secret {
    let file = try Self.openFile(path)
    if let exposure = SecretFile.exposure(file, path: path) { warn(exposure) }
    return try Self.readPassword(file, path)
  }

  private static func readKey(_ file: Descriptor, _ path: String) throws(YesterError) -> Secret {
    let bytes: [UInt8]
    do throws(Errno) {
      bytes = try file.readAll(limit: 4096)
    } catch {
      throw YesterError.system("Reading the key file", path, error)
    }
    do throws(FormatError) {
      return try Secret(keyFileContent: bytes)
    } catch {
      throw YesterError(.wrongKey, "The key file \(path) is unusable: \(error.message)")
    }
  }

  private static func readPassword(_ file: Descriptor, _ name: String) throws(YesterError) -> Secret {
    do throws(Errno) {
      return .password(firstLine(try file.readAll(limit: 65536)))
    } catch {
      throw YesterError.system("Reading the password from", name, error)
    }
  }

  private static func firstLine(_ bytes: [UInt8]) -> [UInt8] {
    var line = Array(bytes.prefix { $0 != 0x0A })
    if line.last == 0x0D { line.removeLast() }
    return line
  }

  private static func run(_ command: String) throws(YesterError) -> [UInt8] {
    let bytes: [UInt8]
    let ending: ChildProcess.Ending
    do throws(Errno) {
      (bytes, ending) = try ChildProcess.output(of: ["/bin/sh", "-c", command], limit: 65536)
    } catch {
      throw YesterError(.failed, "The password command could not be started: \(error)", cause: error)
    }
    guard ending.isSuccess else {
      if ProcessSettings.isTerminated { throw YesterError(.interrupted, "Interrupted") }
      throw YesterError(.failed, "The password command failed", advice: "Run it by hand to see why: \(command)")
    }
    return firstLine(bytes)
  }
}
