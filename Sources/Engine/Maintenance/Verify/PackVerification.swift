internal import ChunkCodec
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat

/// What the workers found in packs.
struct PackOutcomes: Sendable {
  var chunks: UInt64 = 0
  var opened: Set<ObjectID> = []
  var verified: [ObjectID] = []
  var badPacks: Set<ObjectID> = []
  var badBlocks: Set<BlockCache.Key> = []
  var messages: [String] = []

  mutating func add(_ pack: ObjectID, _ found: PackOutcome) {
    opened.insert(pack)
    chunks += found.chunks
    messages += found.messages
    if found.isWholeBad { badPacks.insert(pack) }
    if found.isWhole && found.messages.isEmpty && found.isByOther { verified.append(pack) }
    badBlocks.formUnion(found.badBlocks)
  }
}

/// What was found in one pack.
struct PackOutcome: Sendable {
  var chunks: UInt64 = 0
  /// Of the blocks that were gone through.
  var bytes: UInt64 = 0
  var isWholeBad = false
  /// All of it was looked at.
  var isWhole = false
  /// It is not by a full writer.
  var isByOther = false
  var badBlocks: Set<BlockCache.Key> = []
  var messages: [String] = []

  /// Opens every block of a pack and verifies every chunk against its id.
  static func check(_ pack: ObjectID, _ repository: Repository, _ progress: RunProgress) -> PackOutcome {
    var out = PackOutcome()
    let file: PackFile
    do throws(YesterError) {
      file = try PackFile(repository, pack)
    } catch {
      out.isWholeBad = true
      out.messages.append(error.message)
      return out
    }
    if file.key.writer == nil {
      out.messages.append("the header of the pack \(pack.short) is not signed by the writer that it names")
    }
    for block in file.blocks {
      if progress.stop.isRaised { return out }
      do throws(YesterError) {
        let plain = try repository.reader.load(pack, block.location, file.key.key)
        try block.forEachChunk(in: plain) { (chunk, bytes) throws(YesterError) in
          out.chunks += 1
          guard repository.reader.identify(bytes, kind: file.key.key.kind, file.key.keySet.id) == chunk.id else {
            throw YesterError(
              .damaged,
              "block \(block.location.number) of the pack \(pack.short) holds a chunk that is not what its id says")
          }
        }
      } catch {
        out.badBlocks.insert(BlockCache.Key(pack: pack, number: block.location.number))
        out.messages.append(error.message)
      }
      out.bytes += UInt64(block.location.sealedLength)
      progress.add(bytes: UInt64(block.location.sealedLength))
    }
    out.isWhole = true
    out.isByOther = repository.keyring.roster.standing(of: file.indexed.writer) != .full
    return out
  }
}
