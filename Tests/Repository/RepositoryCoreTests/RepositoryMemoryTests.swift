import ChunkCodec
import Glibc
import Platform
@testable import RepositoryCore
import RepositoryFormat
import Synchronization
import TestSupport
import Testing

@Suite struct RepositoryMemoryTests {
  private let id = RepositoryID(System.random(16))

  private static func writer(_ number: UInt8) -> [UInt8] { [UInt8](repeating: number, count: 32) }
  private static func head(_ writer: UInt8, _ sequence: UInt64, _ content: UInt8 = 0) -> ChainHead {
    ChainHead(
      writer: self.writer(writer), sequence: sequence,
      id: ObjectID(nameOf: SHA256.hash([writer, content] + withUnsafeBytes(of: sequence) { Array($0) })))
  }

  private func withFile(
    _ body: (RepositoryMemoryFile, _ folder: String, _ warnings: Monitor<[String]>) throws -> Void
  ) throws {
    try withTemporaryDirectory { folder in
      let warnings = Monitor<[String]>([])
      let file = RepositoryMemoryFile(folder + "/state", id) { text in warnings.update { $0.append(text) } }
      try body(file, folder + "/state", warnings)
    }
  }

  @Test func whatWasSeenIsRemembered() throws {
    try withFile { file, folder, warnings in
      #expect(file.load() == RepositoryMemory())
      file.update { memory in
        memory.see(Self.head(1, 5))
        memory.see(Self.head(2, 9))
        memory.tellFork(of: Self.writer(1), at: 3)
      }
      let memory = file.load()
      #expect(memory.heads[Self.writer(1)] == Self.head(1, 5))
      #expect(memory.heads[Self.writer(2)] == Self.head(2, 9))
      #expect(memory.toldForks == [Self.writer(1): 3])
      let (permissions, folderPermissions) = (
        try FileStatus(of: file.path).permissions, try FileStatus(of: folder).permissions
      )
      #expect(permissions == 0o600)
      #expect(folderPermissions == 0o700)
      #expect(warnings.withLock { $0 } == [])
    }
  }

  @Test func itNeverGoesBack() throws {
    try withFile { file, _, _ in
      file.update { $0.see(Self.head(1, 5)) }
      file.update { $0.see(Self.head(1, 4)) }
      // Of two with one number the first stays: what was put in its place is seen by that.
      file.update { $0.see(Self.head(1, 5, 7)) }
      #expect(file.load().heads[Self.writer(1)] == Self.head(1, 5))
      file.update { $0.see(Self.head(1, 6)) }
      #expect(file.load().heads[Self.writer(1)] == Self.head(1, 6))
    }
  }

  @Test func nothingIsWrittenWhereNothingIsNew() throws {
    try withFile { file, _, _ in
      file.update { $0.see(Self.head(1, 5)) }
      let before = try FileStatus(of: file.path).inode
      file.update { $0.see(Self.head(1, 5)) }
      let after = try FileStatus(of: file.path).inode
      #expect(after == before)
    }
  }

  /// Runs that end at the same time add to each other's.
  @Test func manyWriteAtOnce() throws {
    try withTemporaryDirectory { folder in
      let id = id
      try onThreads(8) { thread in
        let file = RepositoryMemoryFile(folder, id) { _ in }
        for round in 1...20 {
          file.update { $0.see(Self.head(UInt8(thread), UInt64(round))) }
        }
      }
      let memory = RepositoryMemoryFile(folder, id) { _ in }.load()
      #expect(memory.heads.count == 8)
      #expect(memory.heads.values.allSatisfy { $0.sequence == 20 })
      // No temporary file is left.
      let names = try Directory.names(Descriptor.open(folder, Descriptor.directoryFlags))
      #expect(names.count == 1)
    }
  }

  @Test func whatIsUnreadableIsToldAndBegunAnew() throws {
    try withFile { file, _, warnings in
      file.update { $0.see(Self.head(1, 5)) }
      var bytes = try readFile(file.path)
      for damage in 0..<4 {
        warnings.update { $0 = [] }
        var broken = bytes
        switch damage {
        case 0: broken[20] ^= 1
        case 1: broken.removeLast()
        case 2: broken = []
        default: broken = [UInt8](repeating: 0, count: bytes.count)
        }
        try writeFile(file.path, broken)
        #expect(file.load() == RepositoryMemory())
        #expect(warnings.withLock { $0.count } == 1)
        #expect(warnings.withLock { $0.first?.contains(file.path) } == true)
        file.update { $0.see(Self.head(1, 2)) }
        #expect(file.load().heads[Self.writer(1)] == Self.head(1, 2))
        bytes = try readFile(file.path)
      }
    }
  }

  @Test func aNewerFileIsLeftAlone() throws {
    try withFile { file, folder, warnings in
      try Directory.makeAll(folder)
      let content = Array("yester memory 2\n".utf8) + [1, 2, 3]
      let bytes = content + SHA256.hash(content).bytes
      try writeFile(file.path, bytes)
      #expect(file.load() == RepositoryMemory())
      file.update { $0.see(Self.head(1, 5)) }
      #expect(try readFile(file.path) == bytes)
      #expect(warnings.withLock { $0.first?.contains("newer") } == true)
    }
  }

  @Test func aFolderThatCannotBeWrittenIsNoError() throws {
    try withTemporaryDirectory { folder in
      try writeFile(folder + "/state", [1])
      let warnings = Monitor<[String]>([])
      let file = RepositoryMemoryFile(folder + "/state", id) { text in warnings.update { $0.append(text) } }
      file.update { $0.see(Self.head(1, 5)) }
      #expect(warnings.withLock { $0.count } == 1)
    }
  }

  @Test func itStaysSmall() throws {
    var memory = RepositoryMemory()
    for number in 0..<10_000 {
      let writer = withUnsafeBytes(of: UInt64(number)) { Array($0) } + [UInt8](repeating: 0, count: 24)
      memory.see(ChainHead(writer: writer, sequence: 1 << 62, id: .zero))
      memory.tellFork(of: writer, at: 1 << 62)
    }
    let bytes = memory.encode()
    #expect(bytes.count < RepositoryMemory.sizeMax)
    let decoded = try RepositoryMemory(decoding: bytes)
    #expect(decoded == memory)
  }
}
