package import Platform

/// What a restore must never remove or replace, whatever a plan says: the repository, the cache, and the directories
/// above them.
package struct ProtectedDirectories: Sendable {
  private var identities: Set<FileIdentity> = []
  private var above: Set<FileIdentity> = []

  /// From absolute paths; those that are not there protect nothing.
  package init(_ paths: [String]) {
    for path in paths {
      guard let real = System.realPath(path), let status = try? FileStatus(of: real) else { continue }
      identities.insert(status.identity)
      var rest = real
      while let slash = rest.lastIndex(of: "/"), rest != "/" {
        rest = slash == rest.startIndex ? "/" : String(rest[..<slash])
        if let status = try? FileStatus(of: rest) { above.insert(status.identity) }
      }
    }
  }

  /// It is the repository or the cache itself.
  package func isProtected(_ status: FileStatus) -> Bool { identities.contains(status.identity) }
  /// A path, perhaps not there yet, is such a directory or would be inside of one.
  package func holds(_ path: String) -> Bool {
    var rest = path
    while !rest.isEmpty {
      if let real = System.realPath(rest) {
        var up = real
        while true {
          if let status = try? FileStatus(of: up), isProtected(status) { return true }
          guard up != "/", let slash = up.lastIndex(of: "/") else { return false }
          up = slash == up.startIndex ? "/" : String(up[..<slash])
        }
      }
      guard let slash = rest.lastIndex(of: "/") else {
        // The working directory itself may be gone; then nothing can be made in it.
        if rest == "." { return false }
        rest = "."
        continue
      }
      rest = slash == rest.startIndex ? "/" : String(rest[..<slash])
    }
    return false
  }

  /// It must stay: such a directory, or one above of it.
  package func mustStay(_ status: FileStatus) -> Bool { isProtected(status) || above.contains(status.identity) }
}
