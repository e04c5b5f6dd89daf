internal import Platform
package import RepositoryFormat

/// Makes the parity of an object while its content passes. One thread at a time.
///
/// How many groups there will be shows only at the end. So it deals out to the largest number, of which all others are
/// divisors, and adds groups together then. Memory: 2 MiB, and a word for each shard.
package final class ParityEncoder {
  private let groups = Bytes(capacity: ParityLayout.groupsMax * ParityLayout.shardSize)
  /// A shard that is not full yet.
  private let open = Bytes(capacity: ParityLayout.shardSize)
  private var sums: [UInt64] = []
  private var size: UInt64 = 0

  package init() {}

  package func append(_ bytes: UnsafeRawBufferPointer) {
    size += UInt64(bytes.count)
    var rest = bytes
    while !rest.isEmpty {
      if open.count == 0, rest.count >= ParityLayout.shardSize {
        take(UnsafeRawBufferPointer(rebasing: rest[..<ParityLayout.shardSize]))
        rest = UnsafeRawBufferPointer(rebasing: rest[ParityLayout.shardSize...])
      } else {
        let count = min(rest.count, ParityLayout.shardSize - open.count)
        open.append(UnsafeRawBufferPointer(rebasing: rest[..<count]))
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        if open.count == ParityLayout.shardSize { closeShard() }
      }
    }
  }

  private func closeShard() {
    open.withFilled { take($0) }
    open.count = 0
  }

  private func take(_ shard: UnsafeRawBufferPointer) {
    let number = sums.count
    sums.append(ShardBytes.sum(shard))
    let group = self.group(number % ParityLayout.groupsMax)
    if number < ParityLayout.groupsMax { group.copyMemory(from: shard) } else { ShardBytes.xor(shard, into: group) }
  }

  private func group(_ number: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: groups.base + number * ParityLayout.shardSize, count: ParityLayout.shardSize)
  }

  /// What comes behind the content: nothing where that is too small. The encoder is not to be used any more.
  package func finish() -> [UInt8] {
    guard size >= ParityLayout.contentSizeMin else { return [] }
    if open.count > 0 {
      open.free.initializeMemory(as: UInt8.self, repeating: 0)
      open.count = ParityLayout.shardSize
      closeShard()
    }
    let layout = ParityLayout(contentSize: size)
    for number in layout.groups..<max(layout.groups, min(sums.count, ParityLayout.groupsMax)) {
      ShardBytes.xor(UnsafeRawBufferPointer(group(number)), into: group(number % layout.groups))
    }
    let parity = (0..<layout.groups).map { UnsafeRawBufferPointer(group(layout.group(ofParity: $0))) }
    let table = ParityTable(layout, sums: sums + parity.map { ShardBytes.sum($0) })
      .encode { SHA256.hash($0).bytes }
    var out = ByteWriter(capacity: Int(layout.objectSize - layout.contentSize))
    out.raw(table)
    for shard in parity { out.raw(shard) }
    out.raw(table)
    withExtendedLifetime(groups) {}
    return out.bytes
  }
}

/// What an object will be called: it is hashed while it is made, and gets its parity at the end, where its repository
/// wants that. One thread at a time.
package final class ObjectNaming {
  private let hash = SHA256()
  private let parity: ParityEncoder?
  /// Bytes of the object so far.
  package private(set) var size: UInt64 = 0

  package init(_ protection: Protection) { parity = protection == .parity ? ParityEncoder() : nil }

  package func append(_ bytes: UnsafeRawBufferPointer) {
    hash.update(bytes)
    parity?.append(bytes)
    size += UInt64(bytes.count)
  }

  /// The SHA-256 of all that was given.
  package func soFar() -> Digest { hash.soFar() }

  /// The bytes that are still to be written, and what the object with them is called.
  package func finish() -> (tail: [UInt8], id: ObjectID) {
    let tail = parity?.finish() ?? []
    tail.withUnsafeBytes { hash.update($0) }
    size += UInt64(tail.count)
    return (tail, ObjectID(nameOf: hash.finish()))
  }
}
