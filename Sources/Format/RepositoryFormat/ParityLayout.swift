internal import Platform

/// Where the parity of a large object lies (docs/format.md, section 12): behind its content, in this order: a table of
/// sums, the parity shards, the same table once more. All of it follows from the size of the content, and that from the
/// size of the object.
///
/// The content is cut into shards, which are dealt out to groups like cards; each group has one parity shard, the XOR of
/// all its shards. The parity shards go on dealing where the content ended. So of `groupsMin` neighbours, content or
/// parity, no two are of one group, and a damage of up to 64 KiB, wherever it begins, hits at most six: four whole
/// shards or three and the short last one, and one at either side. The tables lie farther apart than 64 KiB.
package struct ParityLayout: Sendable, Equatable {
  package static let shardSize = 16 << 10
  /// Smaller objects have a second copy instead, which costs them less than parity and protects as well.
  package static let contentSizeMin: UInt64 = 256 << 10
  /// The most that an index segment has; a table of sums has then 128 MiB.
  package static let contentSizeMax: UInt64 = 256 << 30
  package static let groupsMin = 8
  package static let groupsMax = 128
  /// A group has at least so many shards before there are more groups: parity is then a thirty-second of the content.
  private static let shardsPerGroup = 32

  package let contentSize: UInt64
  /// Of the content; the last one may be short, and counts as if zeros followed.
  package let shards: Int
  /// As many as parity shards: a power of two.
  package let groups: Int

  /// For a content of `contentSizeMin` to `contentSizeMax` bytes.
  package init(contentSize: UInt64) {
    precondition(contentSize >= Self.contentSizeMin && contentSize <= Self.contentSizeMax, "no content with parity")
    self.contentSize = contentSize
    let size = UInt64(Self.shardSize)
    shards = Int(contentSize / size) + (contentSize.isMultiple(of: size) ? 0 : 1)
    var groups = Self.groupsMax
    while groups > Self.groupsMin, shards < groups * Self.shardsPerGroup { groups /= 2 }
    self.groups = groups
  }

  /// Of an object with parity; nil when no such object has this size.
  package init?(objectSize: UInt64) {
    guard let content = Self.contentSize(ofObject: objectSize), content >= Self.contentSizeMin else { return nil }
    self.init(contentSize: content)
  }

  package var tableSize: Int { ParityTable.frameSize + 8 * (shards + groups) }
  package var parityOffset: UInt64 { contentSize + UInt64(tableSize) }
  /// Of the table behind the parity shards; the other one begins where the content ends.
  package var lastTableOffset: UInt64 { parityOffset + UInt64(groups * Self.shardSize) }
  package var objectSize: UInt64 { lastTableOffset + UInt64(tableSize) }

  package func group(ofShard shard: Int) -> Int { shard % groups }
  package func group(ofParity number: Int) -> Int { (shards + number) % groups }
  /// The number of the parity shard of a group.
  package func parity(ofGroup group: Int) -> Int { ((group - shards) % groups + groups) % groups }
  package func parityShardOffset(_ number: Int) -> UInt64 { parityOffset + UInt64(number * Self.shardSize) }
  /// The bytes of a shard in the content.
  package func range(ofShard shard: Int) -> Range<UInt64> {
    let start = UInt64(shard) * UInt64(Self.shardSize)
    return start..<min(contentSize, start + UInt64(Self.shardSize))
  }

  // MARK: Sizes of objects

  /// The size of an object with a content of so many bytes, in a repository with parity.
  package static func objectSize(ofContent size: UInt64) -> UInt64 {
    size < contentSizeMin ? size : ParityLayout(contentSize: size).objectSize
  }

  /// The other way round; nil when no object with parity has that size.
  package static func contentSize(ofObject size: UInt64) -> UInt64? {
    let found = contentSizeFloor(ofObject: size)
    return objectSize(ofContent: found) == size ? found : nil
  }

  /// The largest content whose object has at most so many bytes.
  package static func contentSizeFloor(ofObject size: UInt64) -> UInt64 {
    var low: UInt64 = 0
    // An object is never smaller than its content.
    var high = min(size, contentSizeMax)
    while low < high {
      let middle = low + (high - low + 1) / 2
      if objectSize(ofContent: middle) <= size { low = middle } else { high = middle - 1 }
    }
    return low
  }
}

extension Protection {
  /// The size of the content of a pack or segment; nil when none has that size.
  package func contentSize(ofObject size: UInt64) -> UInt64? {
    self == .none ? size : ParityLayout.contentSize(ofObject: size)
  }
}

/// The sums of all shards of an object: of its content, then of its parity.
package struct ParityTable: Sendable, Equatable {
  package static let magic = Array("YSTRSUMS".utf8)
  /// Magic, size of the content, and the hash at the end.
  package static let frameSize = 8 + 8 + 32

  package let layout: ParityLayout
  package let sums: [UInt64]

  package init(_ layout: ParityLayout, sums: [UInt64]) {
    precondition(sums.count == layout.shards + layout.groups, "a shard without a sum")
    self.layout = layout
    self.sums = sums
  }

  /// `digest` is SHA-256: this module has no cryptography.
  package func encode(digest: ([UInt8]) -> [UInt8]) -> [UInt8] {
    var out = ByteWriter(capacity: layout.tableSize)
    out.raw(Self.magic)
    out.u64(layout.contentSize)
    for sum in sums { out.u64(sum) }
    out.raw(digest(out.bytes))
    return out.bytes
  }

  /// Nil for whatever is not the whole table of `layout`.
  package init?(decoding bytes: [UInt8], _ layout: ParityLayout, digest: ([UInt8]) -> [UInt8]) {
    guard bytes.count == layout.tableSize, digest(Array(bytes.dropLast(32))) == Array(bytes.suffix(32)) else {
      return nil
    }
    let sums = try? bytes.read { (reader) throws(FormatError) in
      guard try reader.take(8).equals(Self.magic), try reader.u64() == layout.contentSize else {
        throw FormatError("it is no table of sums")
      }
      var sums: [UInt64] = []
      sums.reserveCapacity(layout.shards + layout.groups)
      for _ in 0..<(layout.shards + layout.groups) { sums.append(try reader.u64()) }
      _ = try reader.take(32)
      try reader.requireEnd()
      return sums
    }
    guard let sums else { return nil }
    self.layout = layout
    self.sums = sums
  }
}
