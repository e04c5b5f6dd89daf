import Glibc
import Platform
import TestSupport
import Testing

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

private func makeFile(_ path: String, _ content: [UInt8] = []) throws -> Descriptor {
  let file = try Descriptor.open(path, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
  try file.write(content)
  return file
}

@Suite struct DirectoryTests {
  @Test func listsEveryNameOnceWithoutDots() throws {
    try withTemporaryDirectory { path in
      let directory = try Descriptor.open(path, Descriptor.directoryFlags)
      var expected: [[UInt8]] = [[0xFF, 0xFE], bytes("..."), bytes(".hidden"), bytes("a\nb"), bytes("é")]
      // Enough names of full length that one call of the kernel does not return them all.
      for number in 0..<1200 { expected.append(bytes("\(number)-") + [UInt8](repeating: 0x78, count: 240)) }
      for name in expected { _ = try Descriptor.open(name, at: directory, O_WRONLY | O_CREAT, mode: 0o600) }
      try FileSystem.makeDirectory(bytes("folder"), at: directory, mode: 0o700)
      expected.append(bytes("folder"))
      let names = try Directory.names(directory)
      #expect(names == expected.sorted { $0.precedes($1) })

      var kinds: Set<UInt8> = []
      let again = try Descriptor.open(path, Descriptor.directoryFlags)
      try Directory.forEachName(again) { name, type in if name.equals(bytes("folder")) { kinds.insert(type) } }
      #expect(kinds.isSubset(of: [4, 0]))
      #expect(kinds.count == 1)
    }
  }

  @Test func makesWhatIsMissingAbove() throws {
    try withTemporaryDirectory { path in
      try Directory.makeAll(path + "/a/b/c")
      try Directory.makeAll(path + "/a/b/c")
      #expect(try FileStatus(of: path + "/a/b/c").isDirectory)
      _ = try makeFile(path + "/file")
      #expect(throws: Errno.notDirectory) { try Directory.makeAll(path + "/file/x") }
    }
  }

  @Test func linksAtTheEndOfAPathAreNotFollowed() throws {
    try withTemporaryDirectory { path in
      try FileSystem.makeSymbolicLink(to: bytes("/"), bytes(path + "/link"), at: nil)
      #expect(throws: Errno.self) { try Descriptor.open(path + "/link", Descriptor.directoryFlags) }
      #expect(try FileStatus(of: bytes(path + "/link")).isLink)
      #expect(try FileStatus(of: path + "/link").isDirectory)
      #expect(try FileSystem.readLink(bytes(path + "/link"), at: nil) == bytes("/"))
    }
  }
}

@Suite struct DescriptorTests {
  @Test func readsLessOnlyAtTheEnd() throws {
    try withTemporaryDirectory { path in
      let file = try makeFile(path + "/file", bytes("0123456789"))
      let buffer = Bytes(capacity: 8)
      #expect(try file.read(into: buffer.whole, at: 0) == 8)
      #expect(try file.read(into: buffer.whole, at: 6) == 4)
      #expect(Array(buffer.whole.prefix(4)) == bytes("6789"))
      #expect(try file.read(into: buffer.whole, at: 10) == 0)
      try bytes("AB").withUnsafeBytes { try file.write($0, at: 9) }
      #expect(try Descriptor.open(path + "/file").readAll(limit: 11) == bytes("012345678AB"))
      #expect(throws: Errno.tooLarge) { try Descriptor.open(path + "/file").readAll(limit: 10) }
      #expect(throws: Errno.notFound) { try Descriptor.open(path + "/none") }
    }
  }

  @Test func findsDataAndHoles() throws {
    try withTemporaryDirectory { path in
      let file = try makeFile(path + "/sparse")
      try file.truncate(to: 4 << 20)
      #expect(try file.nextData(from: 0) == nil)
      #expect(try file.nextHole(from: 0) == 0)
      try [UInt8](repeating: 1, count: 65536).withUnsafeBytes { try file.write($0, at: 1 << 20) }
      #expect(try file.nextData(from: 0) == 1 << 20)
      #expect(try file.nextHole(from: 1 << 20) == 1 << 20 + 65536)
      #expect(try file.nextData(from: 1 << 20 + 65536) == nil)
      #expect(try file.nextData(from: 4 << 20) == nil)
      // There is no data behind the end, and no hole either.
      #expect(throws: Errno.self) { try file.nextHole(from: 4 << 20 + 1) }
    }
  }

  @Test func mapsFilesOfAnySize() throws {
    try withTemporaryDirectory { path in
      _ = try makeFile(path + "/empty")
      #expect(try MappedFile(path + "/empty").bytes.isEmpty)
      _ = try makeFile(path + "/file", bytes("content"))
      let mapped = try MappedFile(path + "/file")
      #expect(withExtendedLifetime(mapped) { Array(mapped.bytes) } == bytes("content"))
      #expect(throws: Errno.notFound) { try MappedFile(path + "/none") }
    }
  }

  @Test func timesAndModesAreSet() throws {
    try withTemporaryDirectory { path in
      let file = try makeFile(path + "/file")
      let moment = Timestamp(seconds: 1_000_000_000, nanoseconds: 123_456_789)
      try FileSystem.setTimes(bytes(path + "/file"), at: nil, accessed: moment, modified: moment)
      #expect(try file.status().modified == moment)
      let other = Timestamp(seconds: -5, nanoseconds: 999_999_999)
      try file.setTimes(accessed: other, modified: other)
      #expect(try file.status().modified == other)
      try FileSystem.setMode(bytes(path + "/file"), at: nil, 0o4751)
      #expect(try file.status().permissions == 0o4751)
      #expect(try file.status().isRegular)
    }
  }

  @Test func renamingKeepsToItsRule() throws {
    try withTemporaryDirectory { path in
      _ = try makeFile(path + "/a", bytes("a"))
      _ = try makeFile(path + "/b", bytes("b"))
      let directory = try Descriptor.open(path, Descriptor.directoryFlags)
      #expect(throws: Errno.exists) {
        try FileSystem.rename(bytes("a"), at: directory, to: bytes("b"), at: directory, .noReplace)
      }
      #expect(throws: Errno.exists) {
        try FileSystem.makeLink(from: bytes("a"), at: directory, to: bytes("b"), at: directory)
      }
      try FileSystem.rename(bytes("a"), at: directory, to: bytes("b"), at: directory, .exchange)
      #expect(try Descriptor.open("a", at: directory).readAll(limit: 9) == bytes("b"))
      try FileSystem.rename(bytes("a"), at: directory, to: bytes("b"), at: directory)
      #expect(try Directory.names(directory) == [bytes("b")])
    }
  }
}

@Suite struct ExtendedAttributesTests {
  @Test func attributesComeBackWholeInTheOrderOfTheFileSystem() throws {
    try withTemporaryDirectory { path in
      let name = bytes("file")
      let file = try makeFile(path + "/file")
      let directory = try Descriptor.open(path, Descriptor.directoryFlags)
      #expect(try ExtendedAttributes.read(name, at: directory).isEmpty)
      var expected = [
        ExtendedAttribute(name: bytes("user.empty"), value: []),
        ExtendedAttribute(name: bytes("user.zero"), value: [0, 1, 0, 255]),
        ExtendedAttribute(name: bytes("user.big"), value: [UInt8](repeating: 7, count: 1500)),
      ]
      // A list of names that does not fit the first, small buffer.
      for number in 10..<20 {
        expected.append(ExtendedAttribute(name: bytes("user.\(number)-a-rather-long-name-for-it"), value: [1]))
      }
      for attribute in expected {
        do {
          try ExtendedAttributes.set(attribute, name, at: directory)
        } catch let error as Errno {
          if error == .notSupported { return }  // /tmp has no attributes here: there is nothing to test
          throw error
        }
      }
      let found = try ExtendedAttributes.read(name, at: directory)
      #expect(found.isSame(as: expected) && found.reversed().isSame(as: expected))
      #expect(try ExtendedAttributes.read(file) == found)
      try ExtendedAttributes.remove(bytes("user.zero"), name, at: directory)
      #expect(try ExtendedAttributes.read(file).count == expected.count - 1)
      #expect(throws: Errno.noData) { try ExtendedAttributes.remove(bytes("user.zero"), name, at: directory) }
    }
  }

  @Test func theOrderOfAttributesSaysNothing() {
    let (a, b) = (ExtendedAttribute(name: [1], value: [2]), ExtendedAttribute(name: [2], value: [1]))
    #expect([a, b].isSame(as: [b, a]) && [a].isSame(as: [a]) && [ExtendedAttribute]().isSame(as: []))
    #expect(![a, b].isSame(as: [a]) && ![a].isSame(as: [b]) && ![a, a].isSame(as: [a, b]))
    #expect(![a].isSame(as: [ExtendedAttribute(name: [1], value: [3])]))
    #expect([a, b].hasDistinctNames && [a].hasDistinctNames && ![b, a, b].hasDistinctNames)
  }

  @Test func aLinkHasItsOwnAttributesAndNotThoseOfItsTarget() throws {
    try withTemporaryDirectory { path in
      let directory = try Descriptor.open(path, Descriptor.directoryFlags)
      _ = try makeFile(path + "/file")
      let attribute = ExtendedAttribute(name: bytes("user.a"), value: [1])
      do {
        try ExtendedAttributes.set(attribute, bytes("file"), at: directory)
      } catch let error as Errno {
        if error == .notSupported { return }
        throw error
      }
      try FileSystem.makeSymbolicLink(to: bytes("file"), bytes("link"), at: directory)
      #expect(try ExtendedAttributes.read(bytes("link"), at: directory).isEmpty)
      #expect(throws: Errno.self) { try ExtendedAttributes.set(attribute, bytes("link"), at: directory) }
      #expect(throws: Errno.notFound) { try ExtendedAttributes.read(bytes("none"), at: directory) }
    }
  }
}

@Suite struct SystemTests {
  @Test func knowsItsProcesses() throws {
    let own = System.startTime(ofProcess: System.processID)
    #expect(own != nil)
    #expect(own == System.startTime(ofProcess: System.processID))
    #expect(System.startTime(ofProcess: .max) == nil)
    let start = try #require(own)
    #expect(!System.isGone(process: System.processID, startedAt: start))
    #expect(!System.isGone(process: System.processID, startedAt: 0))
    #expect(System.isGone(process: System.processID, startedAt: start + 1))
    #expect(System.isGone(process: .max, startedAt: start))
    for number: Int32 in [0, -1, .min] { #expect(System.isGone(process: number, startedAt: start)) }
    #expect(!System.bootID.isEmpty && !System.bootID.contains("\n"))
  }

  @Test func randomBytesHaveTheLengthAskedFor() {
    #expect(System.random(0).isEmpty)
    #expect(System.random(100_000).count == 100_000)
    #expect(System.random(32) != System.random(32))
  }

  @Test func pathsAreResolved() throws {
    try withTemporaryDirectory { path in
      try FileSystem.makeSymbolicLink(to: bytes("."), bytes(path + "/self"), at: nil)
      #expect(System.realPath(path + "//self/./self/..") == "/tmp")
      #expect(System.realPath(path + "/none") == nil)
    }
  }
}
