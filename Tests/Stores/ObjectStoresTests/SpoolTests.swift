@testable import ObjectStores
import Platform
import Reporting
import RepositoryFormat
import TestSupport
import Testing

private let key = ObjectKey.pack([UInt8](repeating: 7, count: 32).withUnsafeBytes { ObjectID($0) })

private func append(_ bytes: [UInt8], to upload: any ObjectUpload) throws {
  try bytes.withUnsafeBytes { try upload.append($0) }
}

@Suite struct SpoolTests {
  private func withSpool(sizeMax: UInt64 = 1 << 20, _ body: (Spool, _ folder: String) throws -> Void) throws {
    try withTemporaryDirectory { path in try body(Spool(folder: path + "/spool", sizeMax: sizeMax), path + "/spool") }
  }

  @Test func anObjectArrivesWholeAndInOneCall() throws {
    try withSpool { spool, _ in
      let memory = MemoryStore()
      let scripted = ScriptedStore(memory, isNamedOnly: true) { _, _ in .works }
      let store = SpoolingStore(scripted, spool)
      #expect(store.capabilities.contains(.unnamedUpload))
      let upload = try store.beginUpload()
      for part in [[1, 2], [], [3]] as [[UInt8]] { try append(part, to: upload) }
      #expect(scripted.calls == [])
      #expect(try upload.commit(as: key))
      #expect(scripted.calls == ["put"])
      #expect(memory[key.path] == [1, 2, 3])
    }
  }

  @Test func anUploadIsRepeatedWhenTheLineDrops() throws {
    try withSpool { spool, _ in
      for event in [ScriptedStore.Event.isLost, .answerIsLost] {
        let memory = MemoryStore()
        let store = SpoolingStore(
          RetryingStore(ScriptedStore(memory, [event, event]), clock: TestClock().clock), spool)
        let upload = try store.beginUpload()
        let content = (0..<800_000).map { UInt8(truncatingIfNeeded: $0 &* 3 &+ $0 >> 8) }
        try append(content, to: upload)
        #expect(try upload.commit(as: key))
        #expect(memory[key.path] == content)
      }
    }
  }

  @Test func nothingIsEverSeenInItsFolder() throws {
    try withSpool { spool, folder in
      let store = SpoolingStore(MemoryStore(), spool)
      let upload = try store.beginUpload()
      try append([1, 2], to: upload)
      #expect(try Directory.names(Descriptor.open(folder, Descriptor.directoryFlags)).isEmpty)
      upload.cancel()
    }
  }

  @Test func roomIsGivenBackHoweverAnUploadEnds() throws {
    try withSpool { spool, _ in
      let lost = YesterError(.failed, "refused")
      let store = SpoolingStore(
        ScriptedStore(MemoryStore()) { call, _ in call == 2 ? .fails(lost) : .works }, spool)
      for end in 0..<4 {
        var upload: (any ObjectUpload)? = try store.beginUpload()
        try append([1, 2, 3], to: try #require(upload))
        #expect(spool.size == 3)
        switch end {
        case 0: #expect(try upload?.commit(as: key) == true)
        case 1: #expect(throws: YesterError.self) { try upload?.commit(as: key) }
        case 2: upload?.cancel()
        default: upload = nil
        }
        #expect(spool.size == 0, "end \(end)")
      }
    }
  }

  @Test func moreThanItsBoundIsRefusedAndTheRestGoesOn() throws {
    try withSpool(sizeMax: 10) { spool, folder in
      let memory = MemoryStore()
      let store = SpoolingStore(memory, spool)
      let (first, second) = (try store.beginUpload(), try store.beginUpload())
      try append([1, 2, 3, 4, 5, 6], to: first)
      try append([1, 2, 3, 4], to: second)
      let message = errorMessage { try append([5], to: second) }
      #expect(message.contains(folder) && message.contains("Run the command again"))
      // What it lacks must never be taken for whole.
      #expect(throws: YesterError.self) { try second.commit(as: key) }
      #expect(memory.paths == [])
      try append([7, 8, 9, 10], to: first)
      #expect(try first.commit(as: key))
      #expect(memory[key.path]?.count == 10)
      #expect(spool.size == 0)
    }
  }

  @Test func aFolderThatCannotBeWrittenToIsNamed() throws {
    try withTemporaryDirectory { path in
      try writeFile(path + "/file", [])
      let store = SpoolingStore(MemoryStore(), Spool(folder: path + "/file/spool"))
      #expect(errorMessage { _ = try store.beginUpload() }.contains(path + "/file/spool"))
    }
  }

  @Test func aDiskThatIsFullIsNamedAndEndsTheUpload() throws {
    // Every write to it says that there is no room.
    let full = try Descriptor.open("/dev/full", 2)
    let spool = Spool(folder: "/dev/full")
    let memory = MemoryStore()
    let upload = SpooledUpload(SpoolFile(full, spool), to: memory)
    let message = errorMessage { try append([1], to: upload) }
    #expect(message.contains("No space left on device") && message.contains("Free some space"))
    #expect(throws: YesterError.self) { try upload.commit(as: key) }
    #expect(memory.paths == [] && spool.size == 0)
  }
}
