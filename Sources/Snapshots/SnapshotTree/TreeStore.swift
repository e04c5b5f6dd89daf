package import Platform
package import Reporting
package import RepositoryCore
package import RepositoryFormat
internal import Synchronization

/// An entry where it stands in a directory's listing.
package struct ListedEntry: Sendable {
  package let leaf: Leaf
  /// The entry's index in the leaf.
  package let index: Int
  /// The entry's index in the whole directory, from 0.
  package let position: UInt64
  /// Entries of the directory, and below these, that come before it.
  package let numberOffset: UInt64

  package func entry() throws(FormatError) -> Entry { try leaf.entry(index) }
}

/// Where chunks come from: the repository, or a local copy of listings.
package protocol ChunkSource: Sendable {
  /// A chunk's plaintext, verified against its id.
  func chunk(_ id: ObjectID, kind: ChunkKind) throws(YesterError) -> BytesSlice
  /// The id of the data chunk whose SHA-256 is known; nil when the key set is not there.
  func chunkID(_ digest: Digest, _ keySet: KeySetID) -> ObjectID?
  /// A part of a data chunk of `length` bytes on the word of a trusted writer, for less than it costs to prove it; nil
  /// when there is no such word.
  func believed(
    _ id: ObjectID, length: Int, _ range: Range<Int>, isHereAndThere: Bool
  ) throws(YesterError) -> BytesSlice?
}

extension ChunkSource {
  package func believed(
    _ id: ObjectID, length: Int, _ range: Range<Int>, isHereAndThere: Bool
  ) throws(YesterError) -> BytesSlice? { nil }
}

extension ChunkReader: ChunkSource {}

/// Reads listings and content lists, with a bounded cache of decoded ones. For any thread.
package final class TreeStore: Sendable {
  package let reader: any ChunkSource
  private let cache: CostCache<ObjectID, Object>
  /// Entries that readers of snapshots were asked for last.
  let nodes = CostCache<NodeKey, SnapshotNode>(limit: 2 << 20)
  private let readers = Atomic<UInt64>(0)

  struct NodeKey: Hashable, Sendable {
    let reader: UInt64
    let number: UInt64
  }

  private enum Object: Sendable {
    case leaf(Leaf)
    case branch(Branch)
    case list(ContentList, covering: UInt64)
  }

  /// `cacheSize` in bytes of decoded listings.
  package init(reader: any ChunkSource, cacheSize: Int = 8 << 20) {
    self.reader = reader
    cache = CostCache(limit: cacheSize)
  }

  func nextReaderSerial() -> UInt64 { readers.add(1, ordering: .relaxed).newValue }

  private func damaged(_ id: ObjectID, _ error: FormatError) -> YesterError {
    YesterError.damaged("The tree object \(id.short)", error)
  }

  private func object(_ id: ObjectID) throws(YesterError) -> Object {
    if let known = cache[id] { return known }
    let slice = try reader.chunk(id, kind: .tree)
    // Pointers into the slice are good while it is held.
    defer { withExtendedLifetime(slice) {} }
    let object: Object
    let cost: Int
    do throws(FormatError) {
      switch slice.raw.first.flatMap({ TreeObjectType(rawValue: $0) }) {
      case .leaf:
        // A leaf keeps its bytes: give it a copy of its own, not the whole block.
        let copy = Bytes(slice.raw)
        let leaf = try Leaf(BytesSlice(copy, offset: 0, count: copy.count))
        (object, cost) = (.leaf(leaf), leaf.cost)
      case .branch:
        let branch = try Branch(decoding: slice.raw)
        (object, cost) = (.branch(branch), slice.count + branch.children.count * 100)
      default: throw FormatError("it is no listing")
      }
    } catch {
      throw damaged(id, error)
    }
    cache.insert(id, object, cost: cost)
    return object
  }

  /// A content list that must cover `length` bytes.
  package func contentList(_ id: ObjectID, covering length: UInt64) throws(YesterError) -> ContentList {
    // A hostile file may name one list with several lengths; only that which the list was checked against is proven.
    if case .list(let list, covering: length)? = cache[id] { return list }
    let slice = try reader.chunk(id, kind: .tree)
    defer { withExtendedLifetime(slice) {} }
    do throws(FormatError) {
      let list = try ContentList(decoding: slice.raw, covering: length)
      cache.insert(id, .list(list, covering: length), cost: slice.count + list.memory)
      return list
    } catch {
      throw damaged(id, error)
    }
  }

  /// Walks down a listing. `choose` picks a child of a branch, or nil when what is looked for is in none.
  private func descend(
    _ listing: ObjectID, expecting total: UInt64, choose: (Branch, _ position: UInt64, _ number: UInt64) -> Int?,
    pick: (Leaf, _ position: UInt64, _ number: UInt64) throws(FormatError) -> Int?
  ) throws(YesterError) -> ListedEntry? {
    var id = listing
    var expected = total
    // Entries of the directory itself; the topmost object is where that is counted first.
    var count: UInt64?
    // Where its names begin and what they come before, as the branch above says.
    var first: [UInt8]?
    var end: [UInt8]?
    var position: UInt64 = 0
    var number: UInt64 = 0
    for _ in 0..<Limits.levelsMax {
      switch try object(id) {
      case .leaf(let leaf):
        guard leaf.total == expected, UInt64(leaf.count) == count ?? UInt64(leaf.count) else {
          throw damaged(id, FormatError("a listing does not hold what it counts"))
        }
        do throws(FormatError) {
          if let first, leaf.count > 0 {
            let last = try leaf.name(leaf.count - 1)
            let isFirst = try leaf.name(0).equals(first)
            guard isFirst, end?.withUnsafeBytes({ last.precedes($0) }) ?? true else {
              throw FormatError("a listing is not sorted")
            }
          }
          guard let index = try pick(leaf, position, number) else { return nil }
          return ListedEntry(
            leaf: leaf, index: index, position: position + UInt64(index),
            numberOffset: number + leaf.numberOffset(index))
        } catch {
          throw damaged(id, error)
        }
      case .branch(let branch):
        let entries = branch.position(ofChild: branch.children.count)
        guard branch.total == expected, entries == count ?? entries else {
          throw damaged(id, FormatError("a listing does not hold what it counts"))
        }
        let names = branch.children
        guard names[0].firstName == first ?? names[0].firstName,
          end.map({ names[names.count - 1].firstName.precedes($0) }) ?? true
        else { throw damaged(id, FormatError("a listing is not sorted")) }
        guard let child = choose(branch, position, number) else { return nil }
        first = names[child].firstName
        if child + 1 < names.count { end = names[child + 1].firstName }
        position += branch.position(ofChild: child)
        number += branch.number(ofChild: child)
        expected = branch.children[child].total
        count = branch.children[child].count
        id = branch.children[child].object
      case .list: throw damaged(id, FormatError("it is no listing"))
      }
    }
    throw damaged(listing, FormatError("a listing is nested too deeply"))
  }

  /// The entry with a name.
  package func find(
    _ name: UnsafeRawBufferPointer, in listing: ObjectID, below total: UInt64
  ) throws(YesterError) -> ListedEntry? {
    try descend(
      listing, expecting: total,
      choose: { branch, _, _ in branch.child(holding: name) },
      pick: { (leaf, _, _) throws(FormatError) in
        let (index, found) = try leaf.find(name)
        return found ? index : nil
      })
  }

  /// The entry at a position, from 0; nil behind the last one.
  package func find(
    position wanted: UInt64, in listing: ObjectID, below total: UInt64
  ) throws(YesterError) -> ListedEntry? {
    try descend(
      listing, expecting: total,
      choose: { branch, position, _ in
        wanted < position ? nil : branch.child(holdingPosition: wanted - position)
      },
      pick: { (leaf, position, _) throws(FormatError) in
        wanted >= position && wanted - position < UInt64(leaf.count) ? Int(wanted - position) : nil
      })
  }

  /// The entry that is, or is above, the one with a number; `offset` counts from the directory's first entry.
  package func find(
    numberOffset offset: UInt64, in listing: ObjectID, below total: UInt64
  ) throws(YesterError) -> ListedEntry? {
    guard offset < total else { return nil }
    return try descend(
      listing, expecting: total,
      choose: { branch, _, number in offset < number ? nil : branch.child(holdingNumber: offset - number) },
      pick: { (leaf, _, number) throws(FormatError) in
        offset >= number && offset - number < leaf.total ? leaf.index(holding: offset - number) : nil
      })
  }

  /// The position of the first entry behind a name; 0 when there is no name.
  package func position(after name: [UInt8]?, in listing: ObjectID, below total: UInt64) throws(YesterError) -> UInt64 {
    guard let name else { return 0 }
    let last = try name.withBytes { (name) throws(YesterError) in
      try descend(
        listing, expecting: total,
        choose: { branch, _, _ in branch.child(holding: name) },
        pick: { (leaf, _, _) throws(FormatError) in
          let (index, found) = try leaf.find(name)
          return found ? index : index > 0 ? index - 1 : nil
        })
    }
    return last.map { $0.position + 1 } ?? 0
  }

  /// Calls `body` with each entry from a position on, until it returns false. Throws what `body` throws, and
  /// `YesterError`.
  package func forEach(
    in listing: ObjectID, below total: UInt64, from position: UInt64 = 0,
    _ body: (ListedEntry) throws -> Bool
  ) throws {
    var next = position
    while let first = try find(position: next, in: listing, below: total) {
      let base = first.numberOffset - first.leaf.numberOffset(first.index)
      for index in first.index..<first.leaf.count {
        let here = ListedEntry(
          leaf: first.leaf, index: index, position: first.position + UInt64(index - first.index),
          numberOffset: base + first.leaf.numberOffset(index))
        if try !body(here) { return }
      }
      next = first.position + UInt64(first.leaf.count - first.index)
    }
  }

  /// All tree objects of a listing itself (not of the directories in it), the first one included.
  package func objects(of listing: ObjectID) throws(YesterError) -> [ObjectID] {
    var out: [ObjectID] = []
    var open = [(listing, 0)]
    while let (id, depth) = open.popLast() {
      guard depth < Limits.levelsMax else { throw damaged(id, FormatError("a listing is nested too deeply")) }
      out.append(id)
      if case .branch(let branch) = try object(id) {
        open.append(contentsOf: branch.children.reversed().map { ($0.object, depth + 1) })
      }
    }
    return out
  }
}
