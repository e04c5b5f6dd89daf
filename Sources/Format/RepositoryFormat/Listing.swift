package import Platform

package enum TreeObjectType: UInt8, Sendable { case leaf = 1, branch = 2, contentList = 3 }

/// A leaf of a directory's listing, checked once when made; entries are decoded when asked for.
package final class Leaf: Sendable {
  private let bytes: BytesSlice
  private let owners: [Owner]
  /// Where each entry begins in `bytes`, and where the last one ends.
  private let starts: [UInt32]
  /// For each entry, how many entries of the leaf and below them come before it; one more at the end.
  private let before: [UInt64]

  package var count: Int { starts.count }
  /// All entries in it and below them.
  package var total: UInt64 { before[count] }
  /// Memory that it takes, about.
  package var cost: Int { bytes.count + starts.count * 12 + owners.count * 128 + 200 }

  package init(_ bytes: BytesSlice, isRoot: Bool = false) throws(FormatError) {
    var reader = ByteReader(bytes.raw)
    guard try reader.u8() == TreeObjectType.leaf.rawValue else { throw FormatError("it is no leaf of a listing") }
    let owners = try Self.readOwners(&reader)
    let count = try reader.count(limit: min(Limits.leafEntriesMax, reader.remaining))
    guard !isRoot || count == 1 else { throw FormatError("the root is not one entry") }
    var starts: [UInt32] = []
    var before: [UInt64] = [0]
    starts.reserveCapacity(count)
    before.reserveCapacity(count + 1)
    var last: [UInt8]?
    var total: UInt64 = 0
    for _ in 0..<count {
      let start = reader.position
      var part = ByteReader(try reader.string(limit: reader.remaining))
      let entry = try EntryCoding.decode(&part, owners: owners, isRoot: isRoot)
      if let last, !last.precedes(entry.name) { throw FormatError("a listing is not sorted") }
      last = entry.name
      starts.append(UInt32(start))
      total += 1 + entry.below
      guard total <= Limits.snapshotEntriesMax else { throw FormatError("a listing counts too many entries") }
      before.append(total)
    }
    try reader.requireEnd()
    self.bytes = bytes
    self.owners = owners
    self.starts = starts
    self.before = before
  }

  private static func readOwners(_ reader: inout ByteReader) throws(FormatError) -> [Owner] {
    let count = try reader.count(limit: min(Limits.leafEntriesMax, reader.remaining / 4))
    var out: [Owner] = []
    for _ in 0..<count {
      let user = UInt32(try reader.count(limit: Int(UInt32.max)))
      let group = UInt32(try reader.count(limit: Int(UInt32.max)))
      let userName = Array(try reader.string(limit: 1024))
      out.append(
        Owner(user: user, group: group, userName: userName, groupName: Array(try reader.string(limit: 1024))))
    }
    return out
  }

  /// The entry at an index from 0 to `count` - 1.
  package func entry(_ index: Int) throws(FormatError) -> Entry {
    var part = ByteReader(try body(index))
    let isRoot = count == 1 && nameView(part.bytes).isEmpty
    return try EntryCoding.decode(&part, owners: owners, isRoot: isRoot)
  }

  /// The name at an index, valid while the leaf is.
  package func name(_ index: Int) throws(FormatError) -> UnsafeRawBufferPointer { nameView(try body(index)) }

  package func type(_ index: Int) throws(FormatError) -> EntryType {
    guard let type = EntryType(rawValue: try body(index)[0]) else { throw FormatError("an entry has an unknown type") }
    return type
  }

  private func body(_ index: Int) throws(FormatError) -> UnsafeRawBufferPointer {
    var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes.raw[Int(starts[index])...]))
    return try reader.string(limit: reader.remaining)
  }

  /// An entry's name: after type and flags, a length of one or two bytes (at most 255), then the bytes. All of it
  /// was checked when the leaf was made.
  private func nameView(_ body: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    let short = body[2] < 0x80
    let length = short ? Int(body[2]) : Int(body[2] & 0x7F) | Int(body[3]) << 7
    let start = short ? 3 : 4
    return UnsafeRawBufferPointer(rebasing: body[start..<(start + length)])
  }

  /// Entries before the one at `index`, those below them included.
  package func numberOffset(_ index: Int) -> UInt64 { before[index] }

  /// The entry that holds the `offset`-th number of this leaf: itself, or a directory above it.
  package func index(holding offset: UInt64) -> Int {
    var low = 0
    var high = count - 1
    while low < high {
      let middle = (low + high + 1) / 2
      if before[middle] <= offset { low = middle } else { high = middle - 1 }
    }
    return low
  }

  /// The index of the first entry whose name is not before `name`, and whether it is that name.
  package func find(_ name: UnsafeRawBufferPointer) throws(FormatError) -> (index: Int, found: Bool) {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      let order = try self.name(middle).compare(name)
      if order == 0 { return (middle, true) }
      if order < 0 { low = middle + 1 } else { high = middle }
    }
    return (low, false)
  }
}

/// A branch of a large listing (docs/format.md, section 9.2).
package struct Branch: Sendable, Equatable {
  package struct Child: Sendable, Equatable {
    package let firstName: [UInt8]
    /// Entries of this directory in it.
    package let count: UInt64
    /// Those, and all below them.
    package let total: UInt64
    package let object: ObjectID
    package init(firstName: [UInt8], count: UInt64, total: UInt64, object: ObjectID) {
      self.firstName = firstName
      self.count = count
      self.total = total
      self.object = object
    }
  }
  package let children: [Child]
  /// For each child, how many entries of the directory, and how many with all below them, come before it; one more
  /// at the end.
  private let positions: [UInt64]
  private let numbers: [UInt64]

  package init(children: [Child]) {
    self.children = children
    var positions: [UInt64] = [0]
    var numbers: [UInt64] = [0]
    for child in children {
      positions.append((positions.last ?? 0) &+ child.count)
      numbers.append((numbers.last ?? 0) &+ child.total)
    }
    self.positions = positions
    self.numbers = numbers
  }

  /// All entries in it, with all below them.
  package var total: UInt64 { numbers.last ?? 0 }
  package func position(ofChild index: Int) -> UInt64 { positions[index] }
  package func number(ofChild index: Int) -> UInt64 { numbers[index] }

  /// The child that holds a name, if any does.
  package func child(holding name: UnsafeRawBufferPointer) -> Int? {
    let after = Self.firstIndex(in: children.indices) { index in
      children[index].firstName.withUnsafeBytes { name.precedes($0) }
    }
    return after > 0 ? after - 1 : nil
  }
  /// The child that holds the entry at a position of this branch.
  package func child(holdingPosition position: UInt64) -> Int? {
    let index = Self.firstIndex(in: children.indices) { position < positions[$0 + 1] }
    return index < children.count ? index : nil
  }
  /// The child that holds a number, counted from the first entry of this branch.
  package func child(holdingNumber number: UInt64) -> Int? {
    let index = Self.firstIndex(in: children.indices) { number < numbers[$0 + 1] }
    return index < children.count ? index : nil
  }

  /// The first index for which `isBehind` holds; it holds for all behind that.
  private static func firstIndex(in range: Range<Int>, _ isBehind: (Int) -> Bool) -> Int {
    var low = range.lowerBound
    var high = range.upperBound
    while low < high {
      let middle = (low + high) / 2
      if isBehind(middle) { high = middle } else { low = middle + 1 }
    }
    return low
  }

  package func encode() -> [UInt8] {
    var out = ByteWriter()
    out.u8(TreeObjectType.branch.rawValue)
    out.varint(children.count)
    for child in children {
      out.string(child.firstName)
      out.varint(child.count)
      out.varint(child.total)
      out.id(child.object)
    }
    return out.bytes
  }

  package init(decoding bytes: UnsafeRawBufferPointer) throws(FormatError) {
    var reader = ByteReader(bytes)
    guard try reader.u8() == TreeObjectType.branch.rawValue else { throw FormatError("it is no branch of a listing") }
    let count = try reader.count(limit: Limits.branchChildrenMax)
    guard count > 0 else { throw FormatError("a branch of a listing is empty") }
    var children: [Child] = []
    var sum: UInt64 = 0
    for _ in 0..<count {
      let name = try reader.string(limit: Limits.nameSizeMax)
      guard isValidName(name), children.last.map({ $0.firstName.precedes(Array(name)) }) ?? true else {
        throw FormatError("a branch of a listing is not sorted")
      }
      let direct = try reader.varint()
      let total = try reader.varint()
      guard direct > 0, direct <= total, total <= Limits.snapshotEntriesMax else {
        throw FormatError("a branch of a listing has impossible counts")
      }
      sum += total
      guard sum <= Limits.snapshotEntriesMax else { throw FormatError("a listing counts too many entries") }
      children.append(Child(firstName: Array(name), count: direct, total: total, object: try reader.id()))
    }
    try reader.requireEnd()
    self.init(children: children)
  }
}

/// Builds one leaf; entries come in the order of their names.
package struct LeafBuilder: Sendable {
  private var entries = ByteWriter()
  private var owners: [Owner: Int] = [:]
  private var ownerList: [Owner] = []
  private var scratch = ByteWriter()
  package private(set) var count = 0
  package private(set) var total: UInt64 = 0
  package private(set) var firstName: [UInt8] = []

  package init() {}

  package var size: Int { entries.count }

  package mutating func append(_ entry: Entry) {
    if count == 0 { firstName = entry.name }
    let owner: Int
    if let known = owners[entry.owner] {
      owner = known
    } else {
      owner = ownerList.count
      owners[entry.owner] = owner
      ownerList.append(entry.owner)
    }
    scratch.removeAll()
    EntryCoding.encode(entry, owner: owner, to: &scratch)
    entries.string(scratch.bytes)
    count += 1
    total += 1 + entry.below
  }

  /// The leaf's bytes; the builder is empty afterwards.
  package mutating func finish() -> [UInt8] {
    var out = ByteWriter(capacity: entries.count + 256)
    out.u8(TreeObjectType.leaf.rawValue)
    out.varint(ownerList.count)
    for owner in ownerList {
      out.varint(UInt64(owner.user))
      out.varint(UInt64(owner.group))
      out.string(owner.userName)
      out.string(owner.groupName)
    }
    out.varint(count)
    out.raw(entries.bytes)
    entries.removeAll()
    owners.removeAll(keepingCapacity: true)
    ownerList.removeAll(keepingCapacity: true)
    count = 0
    total = 0
    return out.bytes
  }
}
