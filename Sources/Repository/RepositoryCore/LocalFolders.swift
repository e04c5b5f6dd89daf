internal import Platform
internal import Synchronization

/// Where this machine keeps what it knows of repositories, in a file or folder for each.
package struct LocalFolders: Sendable {
  /// What can be made anew.
  package let caches: String
  /// What cannot: never below `caches`, which people delete.
  package let memories: String

  package init(caches: String, memories: String) {
    self.caches = caches
    self.memories = memories
  }

  package static var standard: LocalFolders {
    LocalFolders(caches: System.cacheDirectory, memories: System.stateDirectory)
  }
}

/// Sentences for the user, each of them once.
package final class Notices: Sendable {
  private let told = Mutex<Set<String>>([])
  private let warn: @Sendable (String) -> Void

  package init(_ warn: @escaping @Sendable (String) -> Void) { self.warn = warn }

  package func tell(_ sentence: String) {
    if told.withLock({ $0.insert(sentence).inserted }) { warn(sentence) }
  }
}
