// Listings that somebody made to do harm: each breaks one rule of docs/format.md, section 9.
import Platform
import RepositoryFormat
import Testing

private let badNames: [[UInt8]] = [
  [], Array(".".utf8), Array("..".utf8), Array("a/b".utf8), Array("/".utf8), Array("../x".utf8), [0x61, 0, 0x62], [0],
  [UInt8](repeating: 0x61, count: 256), [UInt8](repeating: 0x61, count: 70_000),
]

private func entry(_ name: [UInt8], _ body: EntryBody = .fifo) -> Entry {
  Entry(
    name: name,
    permissions: 0o644,
    owner: Owner(user: 1, group: 2),
    modified: Timestamp(seconds: 3),
    changed: Timestamp(seconds: 4),
    born: nil,
    linkCount: 1,
    sourceInode: 5,
    body: body
  )
}
private func entry(_ name: String, _ body: EntryBody = .fifo) -> Entry { entry(Array(name.utf8), body) }

/// Bytes written by hand.
private func made(_ body: (inout ByteWriter) -> Void) -> [UInt8] {
  var out = ByteWriter()
  body(&out)
  return out.bytes
}

/// A leaf with one owner and one entry, whose bytes behind the name and before the body are given.
private func rawLeaf(type: UInt8, flags: UInt8 = 0, permissions: UInt64 = 0, owner: UInt64 = 0, tail: [UInt8])
  -> [UInt8]
{
  let entry = made {
    $0.u8(type)
    $0.u8(flags)
    $0.string("a")
    $0.varint(permissions)
    $0.varint(owner)
    $0.raw([0, 0, 0, 0])  // two times
    $0.raw([1, 1])  // links, inode
    $0.raw(tail)
  }
  return made {
    $0.raw([1, 1, 0, 0, 0, 0, 1])
    $0.string(entry)
  }
}

@Suite struct HostileLeafTests {
  @Test(arguments: badNames)
  func namesThatNoFileCanHave(name: [UInt8]) {
    #expect(throws: FormatError.self) { try Leaf(leaf([entry(name)])) }
    #expect(throws: FormatError.self) { try Leaf(leaf([entry("-"), entry(name)])) }
    #expect(throws: FormatError.self) {
      try Branch(Branch(children: [child(name)]).encode())
    }
  }

  @Test func namesThatLookOddAreGood() throws {
    for name in ["...", ".a", "..a", "a.", " ", "-", "\\", "\n", String(repeating: "x", count: 255)] {
      #expect(try Leaf(leaf([entry(name)])).entry(0).name == Array(name.utf8))
    }
    #expect(try Leaf(leaf([entry([0xFF, 1])])).count == 1)
  }

  @Test func onlyTheRootHasNoName() throws {
    let body = EntryBody.directory(below: 0, listing: .zero)
    #expect(try Leaf(leaf([entry("", body)]), isRoot: true).entry(0).name.isEmpty)
    #expect(throws: FormatError.self) { try Leaf(leaf([entry("a", body)]), isRoot: true) }
    #expect(throws: FormatError.self) { try Leaf(leaf([]), isRoot: true) }
    #expect(throws: FormatError.self) { try Leaf(leaf([entry("", body), entry("", body)]), isRoot: true) }
    #expect(throws: FormatError.self) { try Leaf(leaf([entry("", body), entry("a", body)])) }
  }

  @Test(arguments: [["a", "a"], ["b", "a"], ["a", "b", "b"], ["ab", "a"], ["a", "c", "b"]])
  func namesOutOfOrderOrTwice(names: [String]) {
    #expect(throws: FormatError.self) { try Leaf(leaf(names.map { entry($0) })) }
    #expect(throws: FormatError.self) {
      try Branch(Branch(children: names.map { child(Array($0.utf8)) }).encode())
    }
  }

  @Test(arguments: [UInt64.max, 1 << 63, 1 << 62, 1 << 32, 1_000_001, 2])
  func countsThatTheDataCannotHold(count: UInt64) {
    // Entries, owners, the length of an entry, the length of a name, attributes.
    let entryCount = made {
      $0.raw([1, 0])
      $0.varint(count)
    }
    let ownerCount = made {
      $0.u8(1)
      $0.varint(count)
    }
    let entryLength = made {
      $0.raw([1, 0, 1])
      $0.varint(count)
    }
    let nameLength = made {
      $0.raw([1, 0, 1, 12, 4, 0])
      $0.varint(count)
    }
    let attributeCount = rawLeaf(type: 4, flags: 1, tail: made { $0.varint(count) })
    let target = rawLeaf(type: 3, tail: made { $0.varint(count) })
    for bytes in [entryCount, ownerCount, entryLength, nameLength, attributeCount, target] {
      #expect(throws: FormatError.self) { try Leaf(bytes) }
    }
  }

  @Test func numbersBelowDirectoriesDoNotOverflow() {
    for below in [UInt64.max, 1 << 63, 1 << 36] {
      let tail = made {
        $0.varint(below)
        $0.id(.zero)
      }
      #expect(throws: FormatError.self) { try Leaf(rawLeaf(type: 2, tail: tail)) }
    }
    let most = EntryBody.directory(below: Limits.snapshotEntriesMax, listing: .zero)
    #expect(throws: FormatError.self) { try Leaf(leaf([entry("a", most)])) }
    let half = EntryBody.directory(below: 1 << 31, listing: .zero)
    #expect(throws: FormatError.self) { try Leaf(leaf([entry("a", half), entry("b", half)])) }
  }

  @Test func fieldsOutOfTheirRange() throws {
    #expect(try Leaf(rawLeaf(type: 4, permissions: 0o7777, tail: [])).entry(0).permissions == 0o7777)
    let bad = [
      rawLeaf(type: 0, tail: []), rawLeaf(type: 8, tail: []), rawLeaf(type: 4, flags: 64, tail: []),
      rawLeaf(type: 4, flags: 0xFF, tail: []), rawLeaf(type: 4, permissions: 0o10000, tail: []),
      rawLeaf(type: 4, permissions: .max, tail: []), rawLeaf(type: 4, owner: 1, tail: []),
      rawLeaf(type: 4, owner: .max, tail: []), rawLeaf(type: 4, tail: [0]),
      rawLeaf(type: 4, flags: 2, tail: made { $0.varint(1 << 36) }),  // link group
      rawLeaf(type: 6, tail: made { for number in [UInt64(1) << 32, 0] { $0.varint(number) } }),
      rawLeaf(type: 7, tail: made { for number in [0, UInt64(1) << 32] { $0.varint(number) } }),
      rawLeaf(type: 3, tail: [3, 97, 0, 98]),  // a zero byte in a target
      leaf([entry("a", .symbolicLink(target: [UInt8](repeating: 97, count: 65_536)))]),
    ]
    for bytes in bad { #expect(throws: FormatError.self) { try Leaf(bytes) } }
  }

  @Test func attributesThatNoFileCanHave() throws {
    func attributes(_ names: [[UInt8]], _ size: Int = 1) -> [UInt8] {
      var bad = entry("a")
      bad.attributes = names.map { ExtendedAttribute(name: $0, value: [UInt8](repeating: 0, count: size)) }
      return leaf([bad])
    }
    let many = (0..<70).map { Array("user.\(100 + $0)".utf8) }
    for bytes in [
      attributes([[1], [1]]), attributes([[1], [2], [1]]), attributes([[]]), attributes([[1, 0]]),
      attributes([[UInt8](repeating: 1, count: 256)]), attributes([[1]], 65_537), attributes(many, 65_536),
    ] {
      #expect(throws: FormatError.self) { try Leaf(bytes) }
    }
    #expect(throws: Never.self) { try Leaf(attributes(Array(many.prefix(60)), 65_536)) }
    // They may stand in any order, and keep it.
    #expect(try Leaf(attributes([[2], [3], [1]])).entry(0).attributes.map(\.name) == [[2], [3], [1]])
  }
}

private func child(_ name: [UInt8], count: UInt64 = 1, total: UInt64 = 1) -> Branch.Child {
  Branch.Child(firstName: name, count: count, total: total, object: .zero)
}

@Suite struct HostileBranchTests {
  private func read(_ children: [Branch.Child]) throws -> Branch {
    try Branch(Branch(children: children).encode())
  }

  @Test func countsMustBePossible() throws {
    let most = Limits.snapshotEntriesMax
    #expect(try read([child([97], count: 1, total: most)]).children.count == 1)
    #expect(throws: FormatError.self) { try read([]) }
    #expect(throws: FormatError.self) { try read([child([97], count: 0, total: 1)]) }
    #expect(throws: FormatError.self) { try read([child([97], count: 2, total: 1)]) }
    for total in [most + 1, UInt64.max] { #expect(throws: FormatError.self) { try read([child([97], total: total)]) } }
    #expect(throws: FormatError.self) { try read([child([97], count: .max, total: .max)]) }
    #expect(throws: FormatError.self) { try read([child([97], total: most), child([98])]) }
  }

  @Test func numbersOfChildrenHaveALimit() {
    for count in [UInt64.max, 1 << 32, UInt64(Limits.branchChildrenMax) + 1, 5] {
      let bytes = made {
        $0.u8(2)
        $0.varint(count)
      }
      #expect(throws: FormatError.self) { try Branch(bytes) }
    }
  }

  @Test func oneKindOfObjectIsNotTakenForAnother() {
    let objects = [leaf([]), Branch(children: [child([97])]).encode(), ContentList.pieces([]).encode()]
    for (kind, bytes) in objects.enumerated() {
      #expect(((try? Leaf(bytes)) != nil) == (kind == 0))
      #expect(((try? Branch(bytes)) != nil) == (kind == 1))
      #expect(((try? ContentList(bytes, covering: 0)) != nil) == (kind == 2))
    }
  }
}
