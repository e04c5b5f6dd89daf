internal import Platform
internal import RepositoryStore

/// What to back up, as a tree of names from `/`: sources, and the way to them.
package final class SourcePlan {
  /// All below here belongs to the snapshot.
  package private(set) var isSource = false
  package private(set) var children: [[UInt8]: SourcePlan] = [:]
  /// Absolute paths of the sources, sorted.
  package private(set) var paths: [[UInt8]] = []

  private init() {}

  /// From paths as the user gave them. The last component of a path is not followed when it is a symbolic link; a
  /// slash behind it asks for following.
  package init(_ given: [String]) throws {
    for path in given {
      let absolute = try Self.resolve(path)
      paths.append(absolute)
      var node = self
      for part in absolute.split(separator: 0x2F) {
        let next = node.children[Array(part)] ?? SourcePlan()
        node.children[Array(part)] = next
        node = next
      }
      node.isSource = true
    }
    paths.sort { $0.precedes($1) }
  }

  package var sortedNames: [[UInt8]] { children.keys.sorted { $0.precedes($1) } }

  private static func resolve(_ path: String) throws -> [UInt8] {
    func real(_ path: String) throws -> String {
      guard let real = System.realPath(path) else {
        throw YesterError(.failed, "\(path) is not there", advice: "Check the path; nothing was backed up.")
      }
      return real
    }
    guard !path.isEmpty else { throw YesterError(.usage, "An empty path cannot be backed up") }
    if path.hasSuffix("/") || path.hasSuffix("/.") || path.hasSuffix("/..") || path == "." || path == ".." {
      return try real(path).pathBytes
    }
    let slash = path.lastIndex(of: "/")
    let parent = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
    let above = try real(parent)
    let full = (above == "/" ? "" : above) + "/" + name
    guard (try? FileStatus(of: full, following: false)) != nil else {
      throw YesterError(.failed, "\(path) is not there", advice: "Check the path; nothing was backed up.")
    }
    return full.pathBytes
  }
}
