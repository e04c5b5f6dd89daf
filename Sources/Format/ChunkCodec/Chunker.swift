internal import RepositoryFormat

/// Cuts data into chunks by its content, with a gear hash and normalized cut probability, as in FastCDC (Xia et al.,
/// USENIX ATC 2016), so that an insertion moves no cut beyond its neighbourhood. The gear table comes from a secret:
/// the sizes of chunks tell an outsider nothing about known files.
package struct Chunker: Sendable {
  package static let sizeMin = 128 << 10
  package static let sizeAverage = 512 << 10
  package static let sizeMax = 2 << 20
  /// Files up to here are one chunk.
  package static let wholeFileMax = 512 << 10

  private static let hardMask: UInt64 = 0xFFFF_F800_0000_0000
  private static let easyMask: UInt64 = 0xFFFF_8000_0000_0000
  private let gear: [UInt64]

  package init(seed: [UInt8]) {
    let hash = KeyedHash(key: seed)
    gear = (0...255).map { byte in [UInt8(byte)].withUnsafeBytes { hash.hash($0).w0.byteSwapped } }
  }

  /// How far the bytes of a chunk were looked at.
  package struct Position: Sendable {
    fileprivate var offset = Chunker.sizeMin
    fileprivate var hash: UInt64 = 0
    package init() {}
  }

  /// The length of the chunk that begins with `data`, of which more may follow; nil while its end is not there yet.
  /// Each call looks only at what has come since the one before.
  package func end(of data: UnsafeRawBufferPointer, _ position: inout Position) -> Int? {
    gear.withUnsafeBufferPointer { gear in
      let end = min(data.count, Self.sizeMax)
      let middle = min(end, Self.sizeAverage)
      var hash = position.hash
      var at = position.offset
      while at < middle {
        hash = (hash &<< 1) &+ gear[Int(data[at])]
        at &+= 1
        if hash & Self.hardMask == 0 { return at }
      }
      while at < end {
        hash = (hash &<< 1) &+ gear[Int(data[at])]
        at &+= 1
        if hash & Self.easyMask == 0 { return at }
      }
      position.hash = hash
      position.offset = at
      return at == Self.sizeMax ? at : nil
    }
  }

  /// The length of the first chunk of `data`, which holds `sizeMax` bytes or all that is left.
  package func firstLength(of data: UnsafeRawBufferPointer) -> Int {
    var position = Position()
    return end(of: data, &position) ?? data.count
  }
}
