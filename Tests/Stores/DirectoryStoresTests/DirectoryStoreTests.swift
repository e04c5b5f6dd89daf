import DirectoryStores
import ObjectStores
import Platform
import Reporting
import RepositoryFormat
import TestSupport
import Testing

private func id(_ byte: UInt8) -> ObjectID { [UInt8](repeating: byte, count: 32).withUnsafeBytes { ObjectID($0) } }

@Suite struct DirectoryStoreTests {
  @Test func filesWithOtherNamesAreIgnored() throws {
    try withTemporaryDirectory { path in
      let store = try DirectoryStore.create(path + "/r")
      let good = id(0xAB).hex
      for folder in ["keys", "index", "snapshots", "leases", "packs/ab"] {
        try Directory.makeAll("\(path)/r/\(folder)")
        for name in [
          "README", ".hidden", good + ".tmp", good.uppercased(), String(good.dropLast()), good + "0", "a", "deadbeef",
          "dead-beef", "-", good.replacing("a", with: "g"), "é",
        ] {
          try writeFile("\(path)/r/\(folder)/\(name)", [1])
        }
        try Directory.makeAll("\(path)/r/\(folder)/\(id(0xCD).hex)")  // a directory with a good name
      }
      for folder in ObjectFolder.allCases {
        var names: [String] = []
        try store.list(folder) { name, _ in names.append(name) }
        #expect(names == [])
      }
    }
  }

  /// As when somebody has made room by moving objects elsewhere. Where the link leads nowhere, it is listed and not
  /// given, which nobody takes for an absence.
  @Test func anObjectThatHasBecomeALinkIsThere() throws {
    try withTemporaryDirectory { path in
      let store = try DirectoryStore.create(path + "/r")
      _ = try store.put(.config, [1])
      let lease = "0123456789abcdef0123456789abcdef"
      for key in [ObjectKey.snapshot(id(1)), .lease(lease)] {
        _ = try store.put(key, [1, 2, 3])
        let place = Array("\(path)/r/\(key.path)".utf8)
        let elsewhere = Array("\(path)/elsewhere".utf8)
        try FileSystem.rename(place, at: nil, to: elsewhere, at: nil)
        try FileSystem.makeSymbolicLink(to: elsewhere, place, at: nil)
        #expect(try store.get(key, limit: 9) == [1, 2, 3], "\(key)")
        try store.list(key == .snapshot(id(1)) ? .snapshots : .leases) { _, size in
          #expect(size == 3, "\(key)")
        }
        try FileSystem.removeFile(elsewhere, at: nil)
        #expect(try store.get(key, limit: 9) == nil, "\(key)")
      }
      #expect(try store.ids(.snapshots) == [id(1)])
      var names: [String] = []
      try store.list(.leases) { name, _ in names.append(name) }
      #expect(names == [lease])
    }
  }

  @Test func aPackInTheFolderOfAnotherIsIgnored() throws {
    try withTemporaryDirectory { path in
      let store = try DirectoryStore.create(path + "/r")
      _ = try store.put(.pack(id(0xAB)), [1])
      try Directory.makeAll(path + "/r/packs/00")
      try writeFile(path + "/r/packs/00/" + id(0xAB).hex, [1])
      try writeFile(path + "/r/packs/00/" + id(0xCD).hex, [1])
      #expect(try store.ids(.packs) == [id(0xAB)])
    }
  }

  @Test func aCopyMayLackItsEmptyFolders() throws {
    try withTemporaryDirectory { path in
      let store = try DirectoryStore.create(path + "/r")
      for folder in ObjectFolder.allCases.map(\.rawValue) + ["tmp"] {
        try FileSystem.removeDirectory(Array("\(path)/r/\(folder)".utf8), at: nil)
      }
      // With nothing in it, it could be the empty mount point of a disk that went away.
      for folder in ObjectFolder.allCases { #expect(errorCode { try store.list(folder) { _, _ in } } != nil) }
      try writeFile(path + "/r/config", [1])
      try Directory.makeAll(path + "/r/packs")
      for folder in ObjectFolder.allCases { try store.list(folder) { name, _ in Issue.record("\(name) is there") } }
      for key in [ObjectKey.slot(id(1)), .pack(id(2)), .index(id(3)), .snapshot(id(4)), .lease("00")] {
        #expect(try store.put(key, [1]))
        #expect(try store.get(key, limit: 1) == [1])
      }
    }
  }

  @Test func aRepositoryThatIsGoneIsNoEmptyOne() throws {
    try withTemporaryDirectory { path in
      let store = try DirectoryStore.create(path + "/r")
      _ = try store.put(.pack(id(1)), [1])
      removeTree(path + "/r")
      var byte: UInt8 = 0
      #expect(errorCode { _ = try store.size(.pack(id(2))) } == .noRepository)
      #expect(errorCode { _ = try store.get(.config, limit: 9) } == .noRepository)
      #expect(
        errorCode { _ = try withUnsafeMutableBytes(of: &byte) { try store.get(.pack(id(2)), at: 0, into: $0) } }
          == .noRepository
      )
      for folder in ObjectFolder.allCases { #expect(errorCode { try store.list(folder) { _, _ in } } != nil) }
      #expect(errorCode { _ = try store.put(.config, [1]) } != nil)
      #expect((try? FileStatus(of: path + "/r")) == nil)
    }
  }

  @Test func anEmptyMountPointLacksNoObject() throws {
    try withTemporaryDirectory { path in
      let store = try DirectoryStore.create(path + "/r")
      _ = try store.put(.config, [1])
      #expect(try store.size(.pack(id(1))) == nil && store.get(.snapshot(id(1)), limit: 9) == nil)
      // The disk goes away, and what is left is the directory on which it was mounted.
      removeTree(path + "/r")
      try Directory.makeAll(path + "/r")
      var byte: UInt8 = 0
      #expect(errorCode { _ = try store.size(.pack(id(1))) } == .noRepository)
      #expect(errorCode { _ = try store.get(.snapshot(id(1)), limit: 9) } == .noRepository)
      #expect(
        errorCode { _ = try withUnsafeMutableBytes(of: &byte) { try store.get(.pack(id(1)), at: 0, into: $0) } }
          == .noRepository)
      #expect(errorCode { try store.delete(.lease("00")) } == .noRepository)
      #expect(try store.get(.config, limit: 9) == nil)
    }
  }

  @Test func onlyAnEmptyDirectoryBecomesARepository() throws {
    try withTemporaryDirectory { path in
      #expect(try DirectoryStore.create(path + "/a/b").location == path + "/a/b")
      #expect(throws: YesterError.self) { try DirectoryStore.create(path + "/a/b") }
      #expect(throws: YesterError.self) { try DirectoryStore.create(path) }
      try Directory.makeAll(path + "/disk/lost+found")
      #expect(throws: Never.self) { try DirectoryStore.create(path + "/disk") }
      try writeFile(path + "/file", [])
      #expect(throws: YesterError.self) { try DirectoryStore.create(path + "/file") }
      #expect(throws: YesterError.self) { try DirectoryStore.create(path + "/file/below") }
    }
  }

  @Test func onlyOldUploadsAreRemoved() throws {
    try withTemporaryDirectory { path in
      let store = try DirectoryStore.create(path)
      for name in ["old", "new"] { try writeFile("\(path)/tmp/\(name)", [1]) }
      let past = Timestamp(seconds: Timestamp.now().seconds - 2 * 86_400)
      try FileSystem.setTimes(Array("\(path)/tmp/old".utf8), at: nil, accessed: past, modified: past)
      try store.removeAbandonedUploads()
      #expect(
        try Directory.names(Descriptor.open(path + "/tmp", Descriptor.directoryFlags)) == [Array("new".utf8)]
      )
    }
  }

  @Test func anUploadThatIsForgottenLeavesNothing() throws {
    try withTemporaryDirectory { path in
      let store = try DirectoryStore.create(path)
      let upload = try store.beginUpload()
      try [1].withUnsafeBytes { try upload.append($0) }
      let names = { try Directory.names(Descriptor.open(path + "/tmp", Descriptor.directoryFlags)) }
      #expect(try names().count == 1)
      upload.cancel()
      upload.cancel()
      #expect(try names().isEmpty)
    }
  }

  @Test func manyPacksStayReadable() throws {
    try withTemporaryDirectory { path in
      let store = try DirectoryStore.create(path)
      _ = try store.put(.config, [1])
      let ids = (0..<150).map { id(UInt8($0)) }
      for (number, id) in ids.enumerated() { _ = try store.put(.pack(id), [UInt8(number), 1]) }
      // More than are kept open, from several threads, with some deleted in between.
      let wrong = Monitor(0)
      try onThreads(4) { thread in
        for round in 0..<300 {
          let number = (round * 7 + thread * 31) % 150
          var pair: [UInt8] = [0, 0]
          let found = try? pair.withUnsafeMutableBytes { try store.get(.pack(ids[number]), at: 0, into: $0) }
          if found != true || pair != [UInt8(number), 1] { wrong.withLock { $0 += 1 } }
        }
      }
      #expect(wrong.withLock { $0 } == 0)
      var byte: UInt8 = 0
      try store.delete(.pack(ids[3]))
      #expect(try !withUnsafeMutableBytes(of: &byte) { try store.get(.pack(ids[3]), at: 0, into: $0) })
      let open = try Directory.names(Descriptor.open("/proc/self/fd", Descriptor.directoryFlags & ~Descriptor.noFollow))
      #expect(open.count < 1000)
    }
  }
}
