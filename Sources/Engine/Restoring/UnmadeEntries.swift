package import Platform
internal import RepositoryFormat

/// Entries that the destination of a restore has no place for, whatever their names: counted by kind. One thread.
package struct UnmadeEntries {
  package enum Kind: String, Sendable, CaseIterable {
    case symbolicLinks = "symbolic_links"
    case pipes
    case sockets
    case devices
  }

  package struct Count: Sendable {
    package let kind: Kind
    package let reason: Errno
    package var count: UInt64
    /// One of the entries.
    package let example: [UInt8]
  }

  private var counts: [Count] = []

  /// In the order of kinds.
  package var all: [Count] { Kind.allCases.flatMap { kind in counts.filter { $0.kind == kind } } }

  /// Counts an entry that could not be made. False when it is of a kind that every file system has, or when the error
  /// does not speak of kinds.
  mutating func count(_ entry: Entry, _ error: Errno, _ path: [UInt8]) -> Bool {
    // FUSE file systems without devices answer with EIO.
    guard let kind = Self.kind(entry.type),
      [.notPermitted, .notSupported, .notImplemented, .invalid, .inputOutput].contains(error)
    else { return false }
    if let at = counts.firstIndex(where: { $0.kind == kind && $0.reason == error }) {
      counts[at].count += 1
    } else {
      counts.append(Count(kind: kind, reason: error, count: 1, example: path))
    }
    return true
  }

  private static func kind(_ type: EntryType) -> Kind? {
    switch type {
    case .symbolicLink: .symbolicLinks
    case .fifo: .pipes
    case .socket: .sockets
    case .characterDevice, .blockDevice: .devices
    case .file, .directory: nil
    }
  }

  /// Whether a name is one that FAT, exFAT, NTFS or their drivers may refuse.
  static func isOdd(_ name: [UInt8]) -> Bool {
    guard let text = String(validating: name, as: UTF8.self) else { return true }
    if let last = name.last, last == 0x2E || last == 0x20 { return true }
    let isForbidden = text.unicodeScalars.contains { $0.value < 0x20 || "\"*:<>?\\|".unicodeScalars.contains($0) }
    return isForbidden || text.utf16.count > 255 || !name.allSatisfy { $0 < 0x80 }
  }
}
