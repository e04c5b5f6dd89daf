package import Platform
package import Reporting

/// A kind of store: how a location of it is understood, opened and made.
package struct StoreKind: Sendable {
  /// Stands in front of the colon of its locations. What has no colon is of the kind `file`.
  package let scheme: String
  /// How its locations look, with a word on what is there, for messages: `PATH or file:PATH (a directory)`.
  package let form: String
  /// What a process does when it cannot reach the store may succeed soon after: calls are tried again, and uploads
  /// spooled, so that they can be.
  package let isRemote: Bool
  /// What is behind the colon, as it reads from every working directory.
  package let resolve: @Sendable (_ address: String) throws(YesterError) -> StoreLocation
  /// A store that is there. Whether there is a repository in it, nobody has looked yet.
  package let open: @Sendable (_ address: String) throws(YesterError) -> any ObjectStore
  /// Makes an empty store for a new repository. The closure is called with a sentence for whatever the store does less
  /// well than others.
  package let create:
    @Sendable (_ address: String, _ onLimitation: (String) -> Void) throws(YesterError) -> any ObjectStore

  package init(
    scheme: String, form: String, isRemote: Bool,
    resolve: @escaping @Sendable (_ address: String) throws(YesterError) -> StoreLocation,
    open: @escaping @Sendable (_ address: String) throws(YesterError) -> any ObjectStore,
    create:
      @escaping @Sendable (_ address: String, _ onLimitation: (String) -> Void) throws(YesterError) -> any ObjectStore
  ) {
    self.scheme = scheme
    self.form = form
    self.isRemote = isRemote
    self.resolve = resolve
    self.open = open
    self.create = create
  }
}

/// A location that means the same from every working directory.
package struct StoreLocation: Sendable, Equatable {
  package let text: String
  /// As `ObjectStore.localPath`; nil as well when that directory is not there.
  package let localPath: String?

  package init(text: String, localPath: String?) {
    self.text = text
    self.localPath = localPath
  }
}

/// What a run wants of a store, whatever kind it is.
package struct StoreSettings: Sendable {
  /// For all that is written, in bytes a second.
  package var uploadLimit: Int?
  /// When raised, nothing is held back or tried again any more.
  package var end = CancellationFlag()
  /// Called with a sentence for the user, such as that the store is being waited for.
  package var warn: @Sendable (String) -> Void = { _ in }
  package var retries = RetryPolicy()
  package var clock = StoreClock.system
  /// Where objects wait that have to be whole before they are sent.
  package var spoolFolder = System.cacheDirectory + "/spool"

  package init() {}
}

/// The one place where a location becomes a store. A program registers the kinds that it has; there is no other list.
///
/// A location is a path unless a colon stands before its first slash; then it is of the kind that is named in front of
/// the colon. So `/a:b` and `./a:b` are paths, and `host:/a` is never taken for one.
package struct StoreRegistry: Sendable {
  private let kinds: [StoreKind]

  package init(_ kinds: [StoreKind] = []) { self.kinds = kinds }

  /// Throws error 2 when no kind is meant that there is.
  package func resolve(_ location: String) throws(YesterError) -> StoreLocation {
    let (kind, address) = try find(location)
    return try kind.resolve(address)
  }

  /// Opens a store that is there; throws error 10 when it is not.
  package func open(
    _ location: String, _ settings: StoreSettings = StoreSettings()
  ) throws(YesterError) -> any ObjectStore {
    let (kind, address) = try find(location)
    return wrap(try kind.open(address), kind, settings)
  }

  /// Makes a store for a new repository. `onLimitation` is called with a sentence for whatever it does less well than
  /// others.
  package func create(
    _ location: String, _ settings: StoreSettings = StoreSettings(), onLimitation: (String) -> Void = { _ in }
  ) throws(YesterError) -> any ObjectStore {
    let (kind, address) = try find(location)
    let store = try kind.create(address, onLimitation)
    if !store.capabilities.contains(.exclusivePut) {
      onLimitation(
        "\(store.location) cannot keep two from taking one name at the same moment. Two backups that start together "
          + "may get the same name; nothing is lost by that.")
    }
    return wrap(store, kind, settings)
  }

  /// From the inside out: each try goes at the pace that was asked for, and what is tried again is whole.
  private func wrap(_ store: any ObjectStore, _ kind: StoreKind, _ settings: StoreSettings) -> any ObjectStore {
    var store = store
    if let limit = settings.uploadLimit {
      store = PacedStore(store, bytesPerSecond: limit, until: settings.end, clock: settings.clock)
    }
    if kind.isRemote {
      let warn = settings.warn
      store = RetryingStore(
        store, policy: settings.retries, until: settings.end, clock: settings.clock,
        report: { error, wait in
          let seconds = (wait + 999_999_999) / 1_000_000_000
          warn("\(error.message). Trying again in \(seconds == 1 ? "a second" : "\(seconds) seconds").")
        })
    }
    if kind.isRemote || !store.capabilities.contains(.unnamedUpload) {
      store = SpoolingStore(store, Spool(folder: settings.spoolFolder))
    }
    return store
  }

  private func find(_ location: String) throws(YesterError) -> (StoreKind, address: String) {
    let colon = location.utf8.firstIndex { [0x2F, 0x3A].contains($0) }.flatMap { location.utf8[$0] == 0x3A ? $0 : nil }
    let scheme = colon.map { String(decoding: location.utf8[..<$0], as: UTF8.self) } ?? "file"
    let address = colon.map { String(decoding: location.utf8[location.utf8.index(after: $0)...], as: UTF8.self) }
    if let kind = kinds.first(where: { $0.scheme == scheme }) {
      let address = address ?? location
      guard !address.isEmpty else {
        throw YesterError(.usage, "The repository's location says nothing but its kind", advice: "Write \(kind.form).")
      }
      return (kind, address)
    }
    // Not the location itself: some have a password in them, and messages get into logs.
    throw YesterError(
      .usage, "The repository is of a kind that this program does not know (\(scheme):)",
      advice: "It knows \(kinds.map(\.form).joined(separator: ", ")). A path with a colon in its first part is written "
        + "with \"./\" in front.")
  }
}
