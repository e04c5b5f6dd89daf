import DirectoryStores
import ObjectStores
import Platform
import Reporting
import RepositoryFormat
import TestSupport
import Testing

@Suite struct StoreRegistryTests {
  private let registry = StoreRegistry([.directory])

  private static func kind(
    _ scheme: String, _ store: any ObjectStore, isRemote: Bool = false
  ) -> StoreKind {
    StoreKind(
      scheme: scheme, form: "\(scheme):NAME (a test)", isRemote: isRemote,
      resolve: { StoreLocation(text: "\(scheme):\($0)", localPath: nil) },
      open: { (address) throws(YesterError) in
        guard address == "there" else { throw YesterError(.noRepository, "\(address) is not there") }
        return store
      },
      create: { _, _ in store })
  }

  @Test func aPathIsADirectoryOfThisMachine() throws {
    try withTemporaryDirectory { path in
      for location in [
        "\(path)/r", "file:\(path)/s", "\(path)/a:b", "file:\(path)/s3:c", "//\(path)//d", "\(path)/é:\u{301}",
      ] {
        let made = try registry.create(location)
        let store = try registry.open(location)
        #expect(store.location == made.location && store.localPath == made.location)
        #expect(store.location.hasPrefix(path + "/") && System.realPath(store.location) == store.location)
        #expect(try registry.resolve(location) == StoreLocation(text: store.location, localPath: store.location))
      }
      let names = try Directory.names(Descriptor.open(path, Descriptor.directoryFlags))
      #expect(names.map { String(path: $0) }.sorted() == ["a:b", "d", "r", "s", "s3:c", "é:\u{301}"].sorted())
    }
  }

  @Test func aColonBehindASlashBelongsToThePath() throws {
    for location in ["./a:b", "/nowhere/a:b", "../s3:x", "a/b:c", "/:", "./:x"] {
      #expect(errorCode { _ = try registry.open(location) } == .noRepository, "\(location)")
      #expect(throws: Never.self) { try registry.resolve(location) }
    }
  }

  @Test func anUnknownKindIsAnErrorThatSaysWhatThereIs() {
    for location in [
      "s3:bucket/path", "sftp:user@host:/path", "user@host:/path", "host:path", ":x", "FILE:/tmp", "https://host/x",
      "a:\u{301}b",
    ] {
      for call: (StoreRegistry, String) throws -> Void in [
        { _ = try $0.open($1) }, { _ = try $0.create($1) }, { _ = try $0.resolve($1) },
      ] {
        #expect(errorCode { try call(registry, location) } == .usage, "\(location)")
        let message = errorMessage { try call(registry, location) }
        #expect(message.contains("PATH or file:PATH (a directory)"), "\(message)")
      }
    }
    #expect(errorMessage { _ = try registry.open("sftp:user@host:/path") }.contains("(sftp:)"))
  }

  @Test(arguments: ["", "file:"])
  func aLocationWithoutAnAddressIsRefused(location: String) {
    #expect(errorCode { _ = try registry.resolve(location) } == .usage)
    #expect(errorCode { _ = try registry.create(location) } == .usage)
  }

  @Test func aDirectoryThatIsNotThereIsError10() throws {
    try withTemporaryDirectory { path in
      try writeFile(path + "/file", [])
      for missing in ["/none", "/file", "/file/below"] {
        #expect(errorCode { _ = try registry.open(path + missing) } == .noRepository)
        #expect(errorCode { _ = try registry.open("file:" + path + missing) } == .noRepository)
      }
      #expect(try registry.resolve(path + "/none") == StoreLocation(text: path + "/none", localPath: nil))
    }
  }

  @Test func aKindIsGivenWhatIsBehindItsColon() throws {
    let memory = MemoryStore()
    let registry = StoreRegistry([.directory, Self.kind("memory", memory)])
    #expect(try registry.open("memory:there") as? MemoryStore === memory)
    #expect(try registry.create("memory:new") as? MemoryStore === memory)
    #expect(errorMessage { _ = try registry.open("memory:a:b/c") } == "a:b/c is not there.")
    #expect(try registry.resolve("memory:a:b").localPath == nil)
    let message = errorMessage { _ = try registry.open("other:x") }
    #expect(message.contains("file:PATH (a directory), memory:NAME (a test)"))
  }

  /// Nothing stands between a program and the objects of a directory, unless it asks for it.
  @Test func aDirectoryIsNotWrapped() throws {
    try withTemporaryDirectory { path in
      let made = try registry.create(path + "/r")
      let opened = try registry.open(path + "/r")
      #expect(made is DirectoryStore && opened is DirectoryStore)
      var settings = StoreSettings()
      settings.uploadLimit = 1000
      let paced = try registry.open(path + "/r", settings)
      #expect(paced is PacedStore)
    }
  }

  @Test func aRemoteStoreIsTriedAgainAndItsUploadsToo() throws {
    try withTemporaryDirectory { path in
      let memory = MemoryStore()
      let remote = ScriptedStore(memory, [.isLost, .answerIsLost, .works])
      let registry = StoreRegistry([Self.kind("far", remote, isRemote: true)])
      let told = Monitor<[String]>([])
      var settings = StoreSettings()
      settings.spoolFolder = path + "/spool"
      settings.clock = TestClock().clock
      settings.uploadLimit = 1 << 20
      settings.warn = { text in told.withLock { $0.append(text) } }
      let store = try registry.open("far:there", settings)
      let upload = try store.beginUpload()
      try [UInt8]([1, 2]).withUnsafeBytes { try upload.append($0) }
      #expect(try upload.commit(as: .index(.zero)))
      #expect(memory[ObjectKey.index(.zero).path] == [1, 2])
      #expect(told.withLock { $0 }.count == 2)
      #expect(told.withLock { $0 }[0] == "the connection was dropped. Trying again in a second.")
    }
  }

  @Test func aStoreThatNeedsNamesGetsASpool() throws {
    try withTemporaryDirectory { path in
      let named = ScriptedStore(MemoryStore(), isNamedOnly: true) { _, _ in .works }
      var settings = StoreSettings()
      settings.spoolFolder = path + "/spool"
      let store = try StoreRegistry([Self.kind("named", named)]).open("named:there", settings)
      #expect(store.capabilities.contains(.unnamedUpload))
      #expect(try store.beginUpload().commit(as: .config))
    }
  }

  @Test func makingAStoreTellsWhatItCannotDo() throws {
    struct Weak: StoreWrapper {
      let store: any ObjectStore = MemoryStore()
      var capabilities: StoreCapabilities { .unnamedUpload }
    }
    var told: [String] = []
    _ = try StoreRegistry([Self.kind("weak", Weak())]).create("weak:new") { told.append($0) }
    #expect(told.count == 1 && told[0].contains("one name at the same moment"))
    _ = try StoreRegistry([Self.kind("memory", MemoryStore())]).create("memory:new") { told.append($0) }
    #expect(told.count == 1)
  }
}
