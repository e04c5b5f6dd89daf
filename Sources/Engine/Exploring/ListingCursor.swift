internal import Platform
internal import Reporting
internal import RepositoryFormat
internal import SnapshotTree

/// Goes through one directory's listing, object by object: leaves and branches that nobody asks for are never read.
/// What compares or merges listings skips whole objects by their ids with it.
///
/// A cursor is either inside of a leaf, or in front of an object that is not opened yet.
struct ListingCursor {
  /// An object that was not opened yet.
  struct Pending {
    let id: ObjectID
    /// Of the first entry in it; empty for a listing's first object, which begins before every name.
    let firstName: [UInt8]
    /// Entries in it and below them.
    let total: UInt64
    /// How many branches are above it.
    let level: Int
  }

  private let source: any ChunkSource
  /// The next object is the last.
  private var pending: [Pending]
  private var leaf: Leaf?
  private var index = 0

  init(_ listing: ObjectID, below: UInt64, source: any ChunkSource) {
    self.source = source
    pending = [Pending(id: listing, firstName: [], total: below, level: 0)]
  }

  /// The object in front of which the cursor stands; nil inside of a leaf and at the end.
  var next: Pending? { leaf == nil ? pending.last : nil }
  var isAtEnd: Bool { leaf == nil && pending.isEmpty }
  /// The leaf that the cursor is in, and the index in it.
  var position: (leaf: Leaf, index: Int)? { leaf.map { ($0, index) } }

  /// Goes past the object in front of the cursor.
  mutating func skip() { pending.removeLast() }

  /// Opens the object in front of the cursor: a branch is replaced by its children, a leaf is gone into. An empty
  /// leaf is gone past.
  mutating func open() throws(YesterError) {
    guard let object = pending.popLast() else { return }
    switch try Self.read(object, from: source) {
    case .leaf(let found):
      leaf = found.count > 0 ? found : nil
      index = 0
    case .children(let children):
      pending.append(contentsOf: children.reversed())
    }
  }

  enum Opened {
    case leaf(Leaf)
    case children([Pending])
  }

  /// Reads an object and checks it against what was said of it.
  static func read(_ object: Pending, from source: any ChunkSource) throws(YesterError) -> Opened {
    let slice = try source.chunk(object.id, kind: .tree)
    func damaged(_ message: String) -> YesterError {
      YesterError.damaged("The tree object \(object.id.short)", FormatError(message))
    }
    guard object.level < Limits.levelsMax else { throw damaged("a listing is nested too deeply") }
    // Pointers into the slice are good while it is held.
    defer { withExtendedLifetime(slice) {} }
    do throws(FormatError) {
      if slice.raw.first == TreeObjectType.branch.rawValue {
        let branch = try Branch(decoding: slice.raw)
        guard branch.children.reduce(0, { $0 + $1.total }) == object.total else {
          throw FormatError("a listing does not hold what it counts")
        }
        return .children(
          branch.children.map {
            Pending(id: $0.object, firstName: $0.firstName, total: $0.total, level: object.level + 1)
          }
        )
      }
      // The leaf keeps its bytes: a copy of its own, so that it does not keep the whole block.
      let leaf = try Leaf(BytesSlice(Bytes(slice.raw), offset: 0, count: slice.count))
      guard leaf.total == object.total else { throw FormatError("a listing does not hold what it counts") }
      return .leaf(leaf)
    } catch {
      throw damaged(error.message)
    }
  }

  /// Goes on to the next entry of the leaf.
  mutating func advance() {
    guard let leaf else { return }
    index += 1
    if index == leaf.count { self.leaf = nil }
  }
}
