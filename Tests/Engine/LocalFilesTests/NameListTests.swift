import Glibc
import LocalFiles
import Platform
import TestSupport
import Testing

/// The names of a directory, in the order in which snapshots have them.
@Suite struct NameListTests {
  @Test func namesOfADirectoryComeInTheOrderOfTheirBytes() throws {
    try withTemporaryDirectory { folder in
      let names: [[UInt8]] = ["b", "a", "a.b", "a b", "A", "é", "aa"].map { Array($0.utf8) } + [[0xFF], [0x01]]
      let directory = try Descriptor.open(folder, Descriptor.directoryFlags)
      for name in names { try FileSystem.makeDirectory(name, at: directory, mode: 0o700) }
      let list = try NameList(Descriptor.open(folder, Descriptor.directoryFlags))
      let sorted = names.sorted { $0.lexicographicallyPrecedes($1) }
      #expect((0..<list.count).map { list[$0] } == sorted)
      for name in names { #expect(list.contains(name)) }
      for name in [[], [0x61, 0x61, 0x61], [0xFF, 0xFF], [0x02]] as [[UInt8]] { #expect(!list.contains(name)) }
      #expect((0..<list.count).allSatisfy { [UInt8(DT_DIR), UInt8(DT_UNKNOWN)].contains(list.type($0)) })
    }
  }

  @Test func moreNamesThanAllowedAreAnError() throws {
    try withTemporaryDirectory { folder in
      for number in 0..<4 { try writeFile("\(folder)/\(number)", []) }
      func list(_ limit: Int) throws -> NameList {
        try NameList(Descriptor.open(folder, Descriptor.directoryFlags), countMax: limit)
      }
      #expect(try list(4).count == 4)
      #expect(throws: Errno.tooLarge) { try list(3) }
    }
  }

  @Test func aListThatIsWrittenDownIsSortedToo() {
    let list = NameList(["b", "c", "a"].map { Array($0.utf8) })
    #expect((0..<list.count).map { String(decoding: list[$0], as: UTF8.self) } == ["a", "b", "c"])
    #expect(!NameList().contains([0x61]) && NameList().count == 0)
  }
}
