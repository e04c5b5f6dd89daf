/// Absolute paths in the order of a tree: one block of bytes and where each begins, so that a million of them cost
/// little. They are kept without the slash in front; the root is empty.
struct PathList: Sendable {
  /// All paths together; also what a start counts in.
  static let sizeMax = 1 << 30

  private var bytes: [UInt8] = []
  private var starts: [UInt32] = [0]
  /// Of what is added; a list that is made in order needs no other.
  private var order: [UInt32] = []
  private var isSorted = true

  var count: Int { order.count }

  /// False when there is no room for it.
  mutating func add(_ path: ArraySlice<UInt8>) -> Bool {
    guard bytes.count + path.count <= Self.sizeMax else { return false }
    bytes.append(contentsOf: path)
    order.append(UInt32(order.count))
    starts.append(UInt32(bytes.count))
    if isSorted, count > 1 { isSorted = precedes(count - 2, count - 1) }
    return true
  }

  /// Sorts what was added, and leaves each path once.
  mutating func sort() {
    guard !isSorted else { return }
    let (bytes, starts) = (bytes, starts)
    bytes.withUnsafeBytes { raw in
      starts.withUnsafeBufferPointer { starts in
        func path(_ number: UInt32) -> UnsafeRawBufferPointer {
          UnsafeRawBufferPointer(rebasing: raw[Int(starts[Int(number)])..<Int(starts[Int(number) + 1])])
        }
        order.sort { Self.isBefore(path($0), path($1)) }
        var kept = 0
        for index in order.indices {
          if kept > 0, path(order[kept - 1]).elementsEqual(path(order[index])) { continue }
          order[kept] = order[index]
          kept += 1
        }
        order.removeLast(order.count - kept)
      }
    }
    isSorted = true
  }

  subscript(index: Int) -> ArraySlice<UInt8> {
    let number = Int(order[index])
    return bytes[Int(starts[number])..<Int(starts[number + 1])]
  }

  /// What is in a directory comes right behind it, before what follows on it: a slash goes before all other bytes.
  static func isBefore(_ path: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
    let length = min(path.count, other.count)
    for index in 0..<length where path[index] != other[index] {
      return other[index] != 0x2F && (path[index] == 0x2F || path[index] < other[index])
    }
    return path.count < other.count
  }

  private func precedes(_ index: Int, _ other: Int) -> Bool {
    self[index].withUnsafeBytes { path in self[other].withUnsafeBytes { Self.isBefore(path, $0) } }
  }
}
