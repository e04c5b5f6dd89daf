internal import RepositoryFormat

/// How much is known of a place of a chunk; what is more to be relied on comes first.
package enum PlaceRank: UInt8, Sendable, Comparable {
  /// Said by this key or a full one, of a pack by this key, by a full one, or verified by one. New snapshots build on it,
  /// and other copies may go because it is there.
  case trusted
  /// The word of who may speak of the pack, but whose word alone is not enough to give up another copy for it.
  case named
  /// Said by somebody who may not say it.
  case doubtful
  /// In a pack that was not there when it was last looked for.
  case absent

  package static func < (a: PlaceRank, b: PlaceRank) -> Bool { a.rawValue < b.rawValue }
}

/// One of the places where the index says that a chunk is. Whatever the rank: what is read there proves itself by the
/// chunk's id.
package struct ChunkPlace: Sendable {
  package let location: ChunkLocation
  package let rank: PlaceRank
  /// The number of the segment in the view of the index, and of the chunk in that.
  package let segment: Int
  package let index: Int
}

/// What the index says of a pack: two that differ in size do not mean the same object.
struct ListedPack: Hashable {
  let id: ObjectID
  let size: UInt64
}
