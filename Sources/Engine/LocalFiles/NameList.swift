internal import Glibc
package import Platform

/// The names in a directory, sorted: one block of bytes and where each begins, so that a million of them
/// cost little.
package struct NameList {
  private var bytes: [UInt8] = []
  private var starts: [UInt32] = []
  private var types: [UInt8] = []
  private var order: [UInt32] = []

  package init() {}

  /// Throws `Errno.tooLarge` when there are more than `countMax`.
  package init(_ directory: Descriptor, countMax: Int = .max) throws(Errno) {
    var bytes: [UInt8] = []
    var starts: [UInt32] = [0]
    var types: [UInt8] = []
    try Directory.forEachName(directory) { (name, type) throws(Errno) in
      guard types.count < countMax else { throw .tooLarge }
      bytes.append(contentsOf: name)
      types.append(type)
      starts.append(UInt32(bytes.count))
    }
    self.bytes = bytes
    self.starts = starts
    self.types = types
    var order = (0..<UInt32(starts.count - 1)).map { $0 }
    bytes.withUnsafeBytes { raw in
      func name(_ index: UInt32) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: raw[Int(starts[Int(index)])..<Int(starts[Int(index) + 1])])
      }
      order.sort { name($0).precedes(name($1)) }
    }
    self.order = order
  }

  package init(_ names: [[UInt8]]) {
    starts = [0]
    for name in names.sorted(by: { $0.precedes($1) }) { append(name) }
  }

  /// Adds a name that comes after all others.
  package mutating func append(_ name: some Sequence<UInt8>) {
    if starts.isEmpty { starts = [0] }
    bytes.append(contentsOf: name)
    starts.append(UInt32(bytes.count))
    types.append(UInt8(DT_UNKNOWN))
    order.append(UInt32(order.count))
  }

  package var count: Int { order.count }

  /// About how many bytes it takes.
  package var memory: Int { bytes.count + 9 * count }

  package subscript(index: Int) -> [UInt8] {
    let at = Int(order[index])
    return Array(bytes[Int(starts[at])..<Int(starts[at + 1])])
  }

  /// A `DT_` value; `DT_UNKNOWN` where the file system does not say.
  package func type(_ index: Int) -> UInt8 { types[Int(order[index])] }

  package func contains(_ name: [UInt8]) -> Bool {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      let here = self[middle]
      if here == name { return true }
      if here.precedes(name) { low = middle + 1 } else { high = middle }
    }
    return false
  }
}
