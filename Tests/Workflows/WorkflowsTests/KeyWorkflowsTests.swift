// Keys are never left without what they open, nor what they open without them.
import ObjectStores
import ChunkCodec
import DirectoryStores
import Maintenance
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import RepositoryOpening
import TestSupport
import Testing
import Workflows

@Suite struct KeyWorkflowsTests {
  private func isThere(_ path: String) -> Bool { (try? FileStatus(of: path)) != nil }

  @Test func aNewKeyFileOpensTheNewRepository() throws {
    try withTemporaryDirectory { folder in
      let key = folder + "/key"
      let workflow = InitializationWorkflow(
        location: folder + "/repository", stores: StoreRegistry([.directory]), keyFile: key, label: "first")
      let result = try workflow.run { try RepositoryAccess.readKeyFile(key) }
      #expect(result.madeKeyFile == key)
      let secret = try RepositoryAccess.readKeyFile(key)
      let repository = try Repository.open(
        DirectoryStore(folder + "/repository"), secret: secret,
        folders: LocalFolders(caches: folder + "/caches", memories: folder + "/memories"))
      #expect(repository.config.id == result.config.id)
    }
  }

  @Test func aKeyFileThatWasMadeForARepositoryThatCannotBeMadeIsRemoved() throws {
    try withTemporaryDirectory { folder in
      try writeFile(folder + "/something", [])
      let key = folder + "/key"
      let workflow = InitializationWorkflow(
        location: folder, stores: StoreRegistry([.directory]), keyFile: key, label: "first")
      #expect(throws: YesterError.self) { try workflow.run { try RepositoryAccess.readKeyFile(key) } }
      #expect(!isThere(key))
    }
  }

  @Test func aKeyFileThatWasMadeIsRemovedWhenNobodyGivesTheSecret() throws {
    try withTemporaryDirectory { folder in
      let key = folder + "/key"
      let workflow = InitializationWorkflow(
        location: folder + "/repository", stores: StoreRegistry([.directory]), keyFile: key, label: "first")
      #expect(errorCode { _ = try workflow.run { throw YesterError(.usage, "no secret") } } == .usage)
      #expect(!isThere(key) && !isThere(folder + "/repository"))
    }
  }

  @Test func aKeyFileThatWasThereStaysWhateverHappens() throws {
    try withTemporaryDirectory { folder in
      let key = folder + "/key"
      try writeFile(key, Secret.newKeyFileContent())
      let workflow = InitializationWorkflow(
        location: folder, stores: StoreRegistry([.directory]), keyFile: key, label: "first")
      #expect(throws: YesterError.self) { try workflow.run { try RepositoryAccess.readKeyFile(key) } }
      #expect(isThere(key))
    }
  }

  @Test func aRecoverySheetOpensTheRepository() throws {
    let fixture = try WorkflowFixture()
    var sheet: RecoverySheet?
    try RecoverySheetWorkflow().run(fixture.open()) {
      sheet = $0
      return true
    }
    let digits = try #require(sheet).key
    let key = try #require(Hex.decode(digits))
    #expect(try fixture.open(by: .keyFile(key)).keyring.role == .full)
  }

  @Test(arguments: [true, false])
  func theKeyOfASheetThatNobodyHasGotIsNotLeftInTheRepository(isError: Bool) throws {
    let fixture = try WorkflowFixture()
    #expect(throws: YesterError.self) {
      try RecoverySheetWorkflow().run(fixture.open()) { _ in
        if isError { throw YesterError(.failed, "no paper") }
        return false
      }
    }
    #expect(try KeySlots.list(fixture.open()).count == 1)
  }

  /// Nobody has to type anything anew.
  @Test func everyKeyGoesOnAfterARotation() throws {
    let fixture = try WorkflowFixture()
    let weak = try fixture.addWriteOnlyKey()
    let before = try fixture.open()
    let result = try KeyRotationWorkflow().run(before)
    for secret in [fixture.secret, weak] {
      let after = try fixture.open(by: secret)
      #expect(after.keyring.epoch.number == result.epoch && after.keyring.current.id != before.keyring.current.id)
      #expect(after.keyring.keySets.count == 2)
    }
  }
}
