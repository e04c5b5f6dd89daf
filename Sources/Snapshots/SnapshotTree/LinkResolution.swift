internal import RepositoryFormat
internal import Glibc
internal import Platform
package import Reporting

extension SnapshotReader {
  /// As many as the kernel follows.
  private static let linksMax = 40

  /// The entry that a path leads to when symbolic links are followed inside of the snapshot, as if its root were that
  /// of the system; nil when there is none. `path` is where it lies, without a slash in front. Throws error 1
  /// when there are too many links.
  package func resolve(_ path: [UInt8]) throws(YesterError) -> (node: SnapshotNode, path: [UInt8])? {
    var way = [root]
    var rest = Self.reversedParts(path)
    var links = 0
    while let part = rest.popLast() {
      if part == [0x2E] { continue }
      if part == [0x2E, 0x2E] {
        if way.count > 1 { way.removeLast() }
        continue
      }
      guard let directory = way.last, directory.entry.isDirectory,
        let child = try part.withBytes({ (name) throws(YesterError) in try self.child(name, of: directory) })
      else { return nil }
      guard case .symbolicLink(let target) = child.entry.body else {
        way.append(child)
        continue
      }
      links += 1
      guard links <= Self.linksMax else {
        throw YesterError(
          .failed, "Too many symbolic links stand on the way to /\(String(decoding: path, as: UTF8.self))",
          cause: Errno(rawValue: ELOOP))
      }
      if target.first == 0x2F { way = [root] }
      rest += Self.reversedParts(target)
    }
    guard let last = way.last else { return nil }
    return (last, Array(way.dropFirst().map(\.entry.name).joined(separator: [0x2F])))
  }

  private static func reversedParts(_ path: [UInt8]) -> [[UInt8]] {
    path.split(separator: 0x2F).reversed().map { Array($0) }
  }
}
