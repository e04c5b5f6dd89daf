internal import Platform
internal import RepositoryFormat

/// Cuts data by content with a gear hash and normalized cut probability, as in FastCDC (Xia et al., USENIX ATC
/// 2016), so that an insertion moves no cut beyond its neighbourhood. The gear table comes from a secret: the sizes
/// of chunks tell an outsider nothing about known files.
package struct Cutter: Sendable {
  package static let sizeMin = 256 << 10
  package static let sizeAverage = 1 << 20
  package static let sizeMax = 4 << 20
  /// Files up to here are one chunk.
  package static let wholeFileMax = 512 << 10

  private static let hardMask: UInt64 = 0xFFFF_FC00_0000_0000
  private static let easyMask: UInt64 = 0xFFFF_C000_0000_0000
  private let gear: [UInt64]

  package init(seed: [UInt8]) {
    let hash = KeyedHash(key: seed)
    gear = (0...255).map { byte in [UInt8(byte)].withUnsafeBytes { hash.hash($0).w0.byteSwapped } }
  }

  /// The length of the first chunk of `data`. `data` must hold `sizeMax` bytes, or all that is left.
  package func cut(_ data: UnsafeRawBufferPointer) -> Int {
    guard data.count > Self.sizeMin else { return data.count }
    return gear.withUnsafeBufferPointer { gear in
      let end = min(data.count, Self.sizeMax)
      let middle = min(end, Self.sizeAverage)
      var hash: UInt64 = 0
      var at = Self.sizeMin
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
      return end
    }
  }
}
