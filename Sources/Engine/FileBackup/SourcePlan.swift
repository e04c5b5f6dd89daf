internal import LocalFiles

/// A directory on the way from `/` to sources, or a source itself: a stretch of the sorted list of all of them.
package struct SourcePlan: Sendable {
  private let list: PathList
  private let range: Range<Int>
  /// The length of this directory's path.
  private let length: Int

  /// The root of what is to be backed up. The list is sorted.
  init(_ list: PathList) { self.init(list, 0..<list.count, length: 0) }

  private init(_ list: PathList, _ range: Range<Int>, length: Int) {
    self.list = list
    self.range = range
    self.length = length
  }

  package var isEmpty: Bool { range.isEmpty }
  package var count: Int { range.count }

  /// All below here belongs to the snapshot.
  package var isSource: Bool { !range.isEmpty && list[range.lowerBound].count == length }

  /// What is wanted of this directory, which is no source.
  var names: NameList {
    var names = NameList()
    var index = range.lowerBound
    while index < range.upperBound {
      let name = name(index)
      names.append(name)
      index = end(of: name, from: index)
    }
    return names
  }

  /// What is wanted of the name in this directory; nil for nothing.
  func child(_ name: [UInt8]) -> SourcePlan? {
    let first = first(in: range) { !$0.lexicographicallyPrecedes(name) }
    guard first < range.upperBound, self.name(first).elementsEqual(name) else { return nil }
    return SourcePlan(list, first..<end(of: name[...], from: first), length: nameStart + name.count)
  }

  enum Reach {
    /// A source, or in one.
    case inside
    case onTheWay
    case outside
  }

  /// Where a path, without a slash in front, lies.
  func reach(_ path: [UInt8]) -> Reach {
    var node = self
    for name in path.split(separator: 0x2F) where !node.isSource {
      guard let next = node.child(Array(name)) else { return .outside }
      node = next
    }
    return node.isSource ? .inside : .onTheWay
  }

  /// The sources, as absolute paths.
  func forEachSource(_ body: ([UInt8]) -> Void) {
    for index in range { body([0x2F] + list[index]) }
  }

  /// The sources as a record names them: where there are more than `countMax`, the directory that all of them are in.
  func summary(countMax: Int = 1000) -> [[UInt8]] {
    guard range.count > countMax else {
      return range.map { [0x2F] + list[$0] }
    }
    var node = self
    var path: [UInt8] = []
    while !node.isSource, !node.isEmpty,
      node.end(of: node.name(node.range.lowerBound), from: node.range.lowerBound)
        == node.range.upperBound, let below = node.child(Array(node.name(node.range.lowerBound)))
    {
      path.append(0x2F)
      path.append(contentsOf: node.name(node.range.lowerBound))
      node = below
    }
    return [path.isEmpty ? [0x2F] : path]
  }

  private var nameStart: Int { length == 0 ? 0 : length + 1 }

  /// The part of a path that names something in this directory.
  private func name(_ index: Int) -> ArraySlice<UInt8> {
    list[index].dropFirst(nameStart).prefix { $0 != 0x2F }
  }

  /// Behind the last path with that name in this directory.
  private func end(of name: ArraySlice<UInt8>, from index: Int) -> Int {
    first(in: index..<range.upperBound) { name.lexicographicallyPrecedes($0) }
  }

  /// The first index whose name fulfils a condition that holds for all behind it as well.
  private func first(in range: Range<Int>, where isMet: (ArraySlice<UInt8>) -> Bool) -> Int {
    var low = range.lowerBound
    var high = range.upperBound
    while low < high {
      let middle = (low + high) / 2
      if isMet(name(middle)) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
