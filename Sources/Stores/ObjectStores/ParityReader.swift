internal import ChunkCodec
internal import Platform
package import Reporting
package import RepositoryFormat

/// Reads an object that has parity, checks every shard by its sum, and makes damaged ones good. Memory: the table of
/// sums, and three shards. One thread at a time.
package final class ParityReader {
  /// How much longer an object may be than what is left of it: a table is looked for so far ahead.
  private static let cutMax: UInt64 = 4 << 20
  /// How much may have got behind an object.
  private static let addedMax: UInt64 = 64 << 10

  private let store: any ObjectStore
  private let key: ObjectKey
  private let table: ParityTable
  private let open = Bytes(capacity: ParityLayout.shardSize)
  private let other = Bytes(capacity: ParityLayout.shardSize)
  private let sum = Bytes(capacity: ParityLayout.shardSize)
  package var layout: ParityLayout { table.layout }
  package private(set) var hasCorrected = false

  /// Nil when the object is not there, has no parity, or has lost both tables.
  package init?(_ store: any ObjectStore, _ key: ObjectKey) throws(YesterError) {
    guard key.isBulk, let size = try store.size(key), size <= ParityLayout.contentSizeMax else { return nil }
    var table = try Self.expectedTable(store, key, size)
    if table == nil { table = try Self.searchedTable(store, key, size) }
    guard let table else { return nil }
    self.store = store
    self.key = key
    self.table = table
  }

  // MARK: The table of sums

  private static func expectedTable(
    _ store: any ObjectStore, _ key: ObjectKey, _ size: UInt64
  ) throws(YesterError) -> ParityTable? {
    guard let layout = ParityLayout(objectSize: size) else { return nil }
    for offset in [layout.lastTableOffset, layout.contentSize] {
      let bytes = try readable(store, key, at: offset, count: layout.tableSize)
      if let table = ParityTable(decoding: bytes, layout, digest: digest) { return table }
    }
    return nil
  }

  /// Of an object that has lost its end, or got something behind it: the first table says where it is.
  private static func searchedTable(
    _ store: any ObjectStore, _ key: ObjectKey, _ size: UInt64
  ) throws(YesterError) -> ParityTable? {
    let low = ParityLayout.contentSizeFloor(ofObject: size - min(size, addedMax))
    let high = min(size, ParityLayout.contentSizeFloor(ofObject: size + cutMax))
    let start = max(low, ParityLayout.contentSizeMin)
    guard start < high else { return nil }
    // The magic and the size may begin at the last possible offset.
    let end = min(size, high + 16)
    let bytes = try readable(store, key, at: start, count: Int(end - start))
    let magic = ParityTable.magic
    for index in bytes.indices where bytes[index] == magic[0] && bytes.count - index >= 16 {
      let content = start + UInt64(index)
      guard bytes[index..<(index + 8)].elementsEqual(magic), number(bytes[(index + 8)..<(index + 16)]) == content else {
        continue
      }
      let layout = ParityLayout(contentSize: content)
      let found = try readable(store, key, at: content, count: layout.tableSize)
      if let table = ParityTable(decoding: found, layout, digest: digest) { return table }
    }
    return nil
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private static func digest(_ bytes: [UInt8]) -> [UInt8] { SHA256.hash(bytes).bytes }

  /// A part of an object, with zeros where it cannot be read.
  private static func readable(
    _ store: any ObjectStore, _ key: ObjectKey, at offset: UInt64, count: Int
  ) throws(YesterError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withMutableBytes { (room) throws(YesterError) in
      if try get(store, key, at: offset, into: room) { return }
      var done = 0
      while done < count {
        let part = UnsafeMutableRawBufferPointer(rebasing: room[done..<min(count, done + ParityLayout.shardSize)])
        if try !get(store, key, at: offset + UInt64(done), into: part) {
          part.initializeMemory(as: UInt8.self, repeating: 0)
        }
        done += part.count
      }
    }
    return bytes
  }

  /// False for what is not there, or cannot be read.
  private static func get(
    _ store: any ObjectStore, _ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(YesterError) -> Bool {
    do throws(YesterError) {
      return try store.get(key, at: offset, into: buffer)
    } catch {
      guard error.isDamage else { throw error }
      return false
    }
  }

  // MARK: Content

  /// Fills `buffer` from `offset` of the content. False when more is damaged than parity can make good.
  package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(YesterError) -> Bool {
    guard offset <= layout.contentSize, layout.contentSize - offset >= UInt64(buffer.count) else { return false }
    var done = 0
    while done < buffer.count {
      let at = offset + UInt64(done)
      let shard = Int(at / UInt64(ParityLayout.shardSize))
      guard try load(shard) else { return false }
      let inside = Int(at % UInt64(ParityLayout.shardSize))
      let count = min(buffer.count - done, ParityLayout.shardSize - inside)
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<(done + count)])
      part.copyMemory(from: UnsafeRawBufferPointer(rebasing: open.whole[inside..<(inside + count)]))
      done += count
    }
    return true
  }

  /// Calls `body` with the whole content, shard by shard. False when more is damaged than parity can make good.
  package func forEachShard(_ body: (UnsafeRawBufferPointer) throws(YesterError) -> Void) throws(YesterError) -> Bool {
    for shard in 0..<layout.shards {
      guard try load(shard) else { return false }
      let range = layout.range(ofShard: shard)
      try open.withRoom(Int(range.upperBound - range.lowerBound)) { (bytes) throws(YesterError) in
        try body(UnsafeRawBufferPointer(bytes))
      }
    }
    return true
  }

  /// Puts a shard into `open`, made good where it was damaged.
  private func load(_ shard: Int) throws(YesterError) -> Bool {
    if try fetch(shard, into: open) { return true }
    let group = layout.group(ofShard: shard)
    let parity = layout.parity(ofGroup: group)
    guard try fetchParity(parity, into: sum) else { return false }
    for member in stride(from: group, to: layout.shards, by: layout.groups) where member != shard {
      guard try fetch(member, into: other) else { return false }
      ShardBytes.xor(UnsafeRawBufferPointer(other.whole), into: sum.whole)
    }
    guard ShardBytes.sum(UnsafeRawBufferPointer(sum.whole)) == table.sums[shard] else { return false }
    open.whole.copyMemory(from: UnsafeRawBufferPointer(sum.whole))
    hasCorrected = true
    return true
  }

  private func fetch(_ shard: Int, into buffer: Bytes) throws(YesterError) -> Bool {
    let range = layout.range(ofShard: shard)
    return try fetch(range.lowerBound, Int(range.upperBound - range.lowerBound), into: buffer, table.sums[shard])
  }

  private func fetchParity(_ number: Int, into buffer: Bytes) throws(YesterError) -> Bool {
    let sum = table.sums[layout.shards + number]
    return try fetch(layout.parityShardOffset(number), ParityLayout.shardSize, into: buffer, sum)
  }

  /// Whether the bytes are there and have the sum.
  private func fetch(_ offset: UInt64, _ count: Int, into buffer: Bytes, _ wanted: UInt64) throws(YesterError) -> Bool {
    let room = UnsafeMutableRawBufferPointer(rebasing: buffer.whole[..<count])
    guard try Self.get(store, key, at: offset, into: room) else { return false }
    let rest = UnsafeMutableRawBufferPointer(rebasing: buffer.whole[count...])
    rest.initializeMemory(as: UInt8.self, repeating: 0)
    return ShardBytes.sum(UnsafeRawBufferPointer(buffer.whole)) == wanted
  }
}
