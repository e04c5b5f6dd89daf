package import ChunkCodec
internal import Platform
package import Reporting
package import RepositoryFormat

/// The index as it was at some moment: its segments, and what the word of each is worth.
///
/// A segment counts for what its writer may say (docs/format.md, section 7): a full writer may speak for every pack, a
/// write-only writer for its own. Everything else is still looked at, last of all: the id of a chunk proves what is read,
/// so that a place nobody vouches for can do no harm, and may be the only one that is left.
package struct IndexView: Sendable {
  /// Those that tell of trusted places first, large ones before small ones.
  package let segments: [IndexSegment]
  /// Segments that cannot be used, and why: nothing that they say is known.
  package let unusable: [(id: ObjectID, error: YesterError)]
  /// Packs that full writers have opened and verified.
  package let verified: Set<ObjectID>
  /// What `readCondemned` found last: nothing new builds on these packs.
  package internal(set) var condemned = CondemnedList()
  /// Segments in whose place others have come; where these are still there, it is by accident.
  let replaced: Set<ObjectID>
  /// For each segment, of each of its packs.
  private let ranks: [[PlaceRank]]
  /// The first so many segments have trusted places.
  private let trustedCount: Int
  /// For each segment, whether it was signed by this key or a full one.
  private let believed: [Bool]

  static let empty = IndexView()

  private init() {
    segments = []
    replaced = []
    unusable = []
    verified = []
    ranks = []
    trustedCount = 0
    believed = []
  }

  /// `all` are the segments of the repository, whoever has signed them, and `absent` what was not among its packs.
  init(
    _ all: [IndexSegment], unusable: [(id: ObjectID, error: YesterError)], _ keyring: Keyring,
    absent: Set<ListedPack>
  ) {
    replaced = Self.replaced(all, keyring)
    let live = all.filter { [replaced] in !replaced.contains($0.id) }
    var unusable = unusable
    var verified: Set<ObjectID> = []
    for segment in live where keyring.roster.standing(of: segment.writer) == .full {
      for statement in segment.statements where statement.kind == .verified { verified.insert(statement.pack) }
    }
    var rated: [(segment: IndexSegment, ranks: [PlaceRank])] = []
    for segment in live {
      do throws(FormatError) {
        rated.append((segment, try Judge(keyring, segment, verified, absent).ranks()))
      } catch {
        unusable.append((segment.id, .damaged("The index segment \(segment.id.short)", error)))
      }
    }
    let trusted = rated.map { $0.ranks.contains(.trusted) }
    let order = rated.indices.sorted { a, b in
      let (first, second) = (rated[a].segment, rated[b].segment)
      return (trusted[a] ? 0 : 1, -first.chunkCount, a) < (trusted[b] ? 0 : 1, -second.chunkCount, b)
    }
    self.unusable = unusable
    self.verified = verified
    segments = order.map { rated[$0].segment }
    ranks = order.map { rated[$0].ranks }
    trustedCount = trusted.count { $0 }
    believed = segments.map { keyring.believes($0.writer) }
  }

  /// What a segment replaces goes when the same writer has signed that, or a full one.
  private static func replaced(_ all: [IndexSegment], _ keyring: Keyring) -> Set<ObjectID> {
    let writers = Dictionary(all.map { ($0.id, $0.writer) }, uniquingKeysWith: { a, _ in a })
    var replaced: Set<ObjectID> = []
    for segment in all {
      let isFull = keyring.roster.standing(of: segment.writer) == .full
      for id in segment.replaced where isFull || writers[id] == segment.writer { replaced.insert(id) }
    }
    return replaced
  }

  /// Whether a segment was signed by this key or a full one, so that it is taken over as it is.
  package func isBelieved(_ number: Int) -> Bool { believed[number] }

  package func rank(ofPack index: Int, in segment: Int) -> PlaceRank { ranks[segment][index] }

  /// The first trusted place of a chunk that `fits`.
  package func trusted(
    _ id: ObjectID, _ fits: (ChunkLocation) -> Bool
  ) throws(YesterError) -> ChunkPlace? {
    for number in 0..<trustedCount {
      guard let found = try segments[number].find(id) else { continue }
      if let place = try place(found, number), place.rank == .trusted, fits(place.location) { return place }
      // Of several that stand beside each other one was found, whichever it was.
      for index in try others(like: found, id, number) where index != found {
        if let place = try place(index, number), place.rank == .trusted, fits(place.location) { return place }
      }
    }
    return nil
  }

  /// Calls `body` with every place of a chunk, in no particular order. A place may come more than once.
  package func forEachPlace(of id: ObjectID, _ body: (ChunkPlace) -> Void) throws(YesterError) {
    for (number, segment) in segments.enumerated() {
      guard let found = try segment.find(id) else { continue }
      for index in try others(like: found, id, number) { if let place = try place(index, number) { body(place) } }
    }
  }

  /// Nil where a segment contradicts itself: that must not hide what others say.
  private func place(_ index: Int, _ number: Int) throws(YesterError) -> ChunkPlace? {
    do throws(YesterError) {
      let (pack, location) = try segments[number].place(index)
      return ChunkPlace(location: location, rank: ranks[number][pack], segment: number, index: index)
    } catch {
      guard error.code == .damaged else { throw error }
      return nil
    }
  }

  /// A stranger's segment must not take long to be looked at.
  private static let othersMax = 1024

  private func others(like found: Int, _ id: ObjectID, _ number: Int) throws(YesterError) -> Range<Int> {
    try segments[number].others(like: found, id, limit: believed[number] ? Int.max : Self.othersMax)
  }
}

/// What the word of a segment is worth for each of its packs.
private struct Judge {
  private let keyring: Keyring
  private let segment: IndexSegment
  private let verified: Set<ObjectID>
  private let absent: Set<ListedPack>
  private let isOwn: Bool
  private let signer: WriterStanding

  init(_ keyring: Keyring, _ segment: IndexSegment, _ verified: Set<ObjectID>, _ absent: Set<ListedPack>) {
    self.keyring = keyring
    self.segment = segment
    self.verified = verified
    self.absent = absent
    isOwn = segment.writer == keyring.writer.publicKey
    signer = keyring.roster.standing(of: segment.writer)
  }

  /// Of each pack that the segment lists.
  func ranks() throws(FormatError) -> [PlaceRank] {
    var out: [PlaceRank] = []
    out.reserveCapacity(segment.packCount)
    for index in 0..<segment.packCount { out.append(try rank(index)) }
    return out
  }

  private func rank(_ index: Int) throws(FormatError) -> PlaceRank {
    let pack = try segment.pack(index)
    if !absent.isEmpty, absent.contains(ListedPack(id: pack.id, size: pack.size)) { return .absent }
    let author = try segment.writer(ofPack: index)
    let isByMe = author == keyring.writer.publicKey
    if signer == .full {
      if isByMe || keyring.roster.standing(of: author) == .full || verified.contains(pack.id) { return .trusted }
      return .named
    }
    guard author == segment.writer else { return .doubtful }
    if isOwn { return .trusted }
    if case .writeOnly = signer { return .named }
    return .doubtful
  }
}

extension Keyring {
  /// Whether what this writer has signed about the index may be signed again by this keyring without another look.
  package func believes(_ signer: [UInt8]) -> Bool {
    signer == writer.publicKey || roster.standing(of: signer) == .full
  }
}
