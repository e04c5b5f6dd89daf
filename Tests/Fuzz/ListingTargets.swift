// Tree objects: leaves with their entries, branches, content lists.
internal import Platform
internal import RepositoryFormat
internal import TestSupport

let listingTargets: [Target] = [
  Target("leaf", seeds: { random { leafBytes($0.entries($0.below(6))) } + random { leafBytes([$0.root()]) } }) {
    input in
    for isRoot in [false, true] {
      let bytes = Bytes(input)
      guard
        let leaf = accepted({ try Leaf(BytesSlice(bytes, offset: 0, count: bytes.count), isRoot: isRoot) })
      else { continue }
      try check(leaf, isRoot: isRoot)
    }
  },
  Target("branch", seeds: { random { branch(&$0).encode() } }) { input in
    let branch = try input.withUnsafeBytes { try Branch(decoding: $0) }
    expect(branch.encode() == input, "a branch has one form only")
    for (index, child) in branch.children.enumerated() {
      expect(child.firstName.withUnsafeBytes { branch.child(holding: $0) } == index, "a child holds its first name")
      expect(
        branch.child(holdingPosition: branch.position(ofChild: index)) == index, "a child holds its first position")
      expect(branch.child(holdingNumber: branch.number(ofChild: index)) == index, "a child holds its first number")
    }
    _ = branch.child(holdingPosition: .max)
    expect(branch.child(holdingNumber: branch.total) == nil, "nothing is behind the last number")
  },
  // The first eight bytes are the size that the list has to cover.
  Target("content-list", seeds: { random { contentList(&$0) } }) { input in
    let size = try input.read { (reader) throws(FormatError) in try reader.u64() }
    let bytes = Array(input[8...])
    let list = try bytes.withUnsafeBytes { try ContentList(decoding: $0, covering: size) }
    expect(list.encode() == bytes, "a content list has one form only")
    let sum =
      switch list {
      case .pieces(let pieces): pieces.reduce(0) { $0 + $1.length }
      case .lists(_, let lists): lists.reduce(0) { $0 + $1.length }
      }
    expect(sum == size, "a content list covers what it has to")
  },
]

private func check(_ leaf: Leaf, isRoot: Bool) throws {
  var builder = LeafBuilder()
  var before: UInt64 = 0
  for index in 0..<leaf.count {
    let entry = try leaf.entry(index)
    builder.append(entry)
    let name = try leaf.name(index)
    expect(name.equals(entry.name), "an entry's name is found without decoding it")
    expect(isRoot || isValidName(name), "a name is one that a file can have")
    expect(try leaf.type(index) == entry.type, "an entry's type is found without decoding it")
    expect(try leaf.find(name) == (index, true), "a name is found where it stands")
    expect(leaf.numberOffset(index) == before && leaf.index(holding: before) == index, "entries are numbered in order")
    before += 1 + entry.below
  }
  expect(leaf.total == before, "a leaf counts what it holds")
  let bytes = builder.finish()
  let again = try Leaf(BytesSlice(Bytes(bytes), offset: 0, count: bytes.count), isRoot: isRoot)
  expect(again.count == leaf.count, "a leaf survives its own writing")
  for index in 0..<leaf.count {
    expect(try again.entry(index) == leaf.entry(index), "an entry survives its own writing")
  }
}

func leafBytes(_ entries: [Entry]) -> [UInt8] {
  var builder = LeafBuilder()
  for entry in entries { builder.append(entry) }
  return builder.finish()
}

private func branch(_ random: inout SeededGenerator) -> Branch {
  var names: Set<[UInt8]> = []
  for _ in 0...random.below(5) { names.insert(random.name()) }
  return Branch(
    children: names.sorted { $0.precedes($1) }.map { name in
      let count = 1 + random.number() >> 40
      return Branch.Child(firstName: name, count: count, total: count + random.number() >> 40, object: random.id())
    })
}

private func contentList(_ random: inout SeededGenerator) -> [UInt8] {
  let pieces = random.pieces()
  let lists = random.references()
  let isPieces = random.chance()
  let size = isPieces ? pieces.reduce(0) { $0 + $1.length } : lists.reduce(0) { $0 + $1.length }
  var out = ByteWriter()
  out.u64(size)
  out.raw((isPieces ? ContentList.pieces(pieces) : .lists(level: 1 + random.below(7), lists)).encode())
  return out.bytes
}
