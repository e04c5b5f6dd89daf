internal import ChunkCodec
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat
internal import SnapshotTree

/// Proves that all which a snapshot builds on is there and is not going to be deleted: before its record is stored, and
/// once more when everybody can see that.
///
/// Whoever deletes condemns first, and looks for snapshots then; whoever makes a snapshot stores its record first, and
/// looks for condemnations then. So whoever comes second sees the other (docs/decisions/0020-reclaiming.md).
struct SnapshotProof {
  private static let triesMax = 5

  let repository: Repository
  let uses: PackUses
  /// From which the listings of the new snapshot can be read; nil where they cannot.
  let listings: (any ChunkSource)?

  /// Returns when all is there. What is in condemned packs is stored again where this key can read it. Throws error 12
  /// when something is going, or gone, that only another run can store again.
  func run(_ record: SnapshotRecord) throws {
    for _ in 0..<Self.triesMax {
      let lost = try doubtfulPacks()
      if lost.isEmpty { return }
      try repository.index.refresh()
      repository.index.avoid(Array(lost))
      do {
        try moveAway(record)
      } catch let error as YesterError where error.code == .damaged {
        // What cannot be found is no damage where packs go.
      }
    }
    throw reclaimed
  }

  private var reclaimed: YesterError {
    YesterError(
      .busy, "Another run reclaims space that this snapshot builds on; no snapshot was made",
      advice: "Run the command again: what was stored is used again.")
  }

  /// Packs in use that are condemned or not there.
  private func doubtfulPacks() throws(YesterError) -> Set<ObjectID> {
    // In this order: a pack stays in the lists until it is gone.
    let condemned = try repository.readCondemned().packs
    let used = uses.packs
    return used.filter { condemned[$0] != nil }.union(try repository.index.absent(used))
  }

  /// Finds other places for what the snapshot needs, or makes them.
  private func moveAway(_ record: SnapshotRecord) throws {
    guard let listings else { throw reclaimed }
    let found = PackUses()
    // What is stored for this is announced before it comes into the index.
    found.setAnnouncer { [uses, weak found] in if let found { uses.announce(with: found) } }
    let writer = try ChunkWriter(repository, uses: found)
    defer { writer.close() }
    let reader = SnapshotReader(repository.unstored(record), tree: TreeStore(reader: listings))
    var needed = NeededChunks()
    try needed.forEach(of: reader) { id, kind in
      if try writer.contains(id) { return }
      guard repository.keyring.role == .full else { throw reclaimed }
      let slice = try repository.reader.chunk(id, kind: kind)
      try withExtendedLifetime(slice) { _ = try writer.add(id, kind: kind, slice.raw) }
    }
    try writer.flush()
    uses.replace(by: found)
  }
}
