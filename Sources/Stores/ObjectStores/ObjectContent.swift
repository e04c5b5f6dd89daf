internal import Platform
package import Reporting

/// A whole object before it is stored: how long it is, is known, and it can be read as often as a store needs to, from
/// several threads.
package protocol ObjectContent: Sendable {
  /// In bytes.
  var size: UInt64 { get }
  /// Fills `buffer` from `offset`, which lies within the size with all of the buffer.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(YesterError)
}

/// What is read of an object in one go.
enum ObjectPart {
  /// In bytes.
  static let sizeMax = 1 << 20
}

extension ObjectContent {
  /// Calls `body` with one part of at most 1 MiB after the other. The bytes are good during the call.
  package func forEachPart(
    _ body: (_ offset: UInt64, _ part: UnsafeRawBufferPointer) throws(YesterError) -> Void
  ) throws(YesterError) {
    let room = Bytes(capacity: ObjectPart.sizeMax)
    var offset: UInt64 = 0
    while offset < size {
      let count = Int(min(UInt64(ObjectPart.sizeMax), size - offset))
      try room.withRoom(count) { (part) throws(YesterError) in
        try read(at: offset, into: part)
        try body(offset, UnsafeRawBufferPointer(part))
      }
      offset += UInt64(count)
    }
  }
}

/// An object in memory.
package struct BytesContent: ObjectContent {
  private let bytes: [UInt8]
  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  package var size: UInt64 { UInt64(bytes.count) }

  package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(YesterError) {
    buffer.copyBytes(from: bytes[Int(offset)...].prefix(buffer.count))
  }
}
