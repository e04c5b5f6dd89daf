package import Platform
package import Reporting

/// What a restore must never remove or replace, whatever a plan says: the repository, the cache, and the directories
/// above them.
package struct ProtectedDirectories: Sendable {
  private var identities: Set<FileIdentity> = []
  private var above: Set<FileIdentity> = []

  package init() {}

  /// From absolute paths; those that are not there protect nothing. Error 1 for what cannot be looked at.
  package init(_ paths: [String]) throws(YesterError) {
    for path in paths {
      do throws(Errno) {
        try protect(String(path: try System.resolve(path.pathBytes)))
      } catch {
        guard error == .notFound else { throw YesterError.system("Looking at", path, error) }
      }
    }
  }

  private mutating func protect(_ real: String) throws(Errno) {
    identities.insert(try FileStatus(of: real).identity)
    var rest = real
    while let slash = rest.lastIndex(of: "/"), rest != "/" {
      rest = slash == rest.startIndex ? "/" : String(rest[..<slash])
      above.insert(try FileStatus(of: rest).identity)
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
