package import Platform
package import RepositoryFormat

/// What differs at one path between two trees, the old and the new one.
package struct Difference: Sendable {
  package enum Kind: String, Sendable, CaseIterable {
    case added, removed
    /// The content is another one; metadata may be as well.
    case modified
    /// Only mode, owner, time or extended attributes differ.
    case metadata
    /// It is another kind of thing now; what was or is below follows as removed or added.
    case type

    package var letter: String {
      switch self {
      case .added: "+"
      case .removed: "-"
      case .modified: "M"
      case .metadata: "m"
      case .type: "T"
      }
    }
  }

  /// What about an entry can differ.
  package enum Aspect: String, Sendable {
    case type, content, mode, owner, modified, xattrs
  }

  package let kind: Kind
  /// Relative to what is compared; empty for that itself.
  package let path: [UInt8]
  package let aspects: [Aspect]
  package let old: EntryFacts?
  package let new: EntryFacts?

  /// From what differs between two entries that are both there; nil when nothing does.
  init?(_ path: [UInt8], _ aspects: [Aspect], old: EntryFacts, new: EntryFacts) {
    guard let first = aspects.first else { return nil }
    kind = first == .type ? .type : first == .content ? .modified : .metadata
    self.path = path
    self.aspects = aspects
    self.old = old
    self.new = new
  }

  init(added new: EntryFacts, _ path: [UInt8]) {
    kind = .added
    self.path = path
    aspects = []
    old = nil
    self.new = new
  }

  init(removed old: EntryFacts, _ path: [UInt8]) {
    kind = .removed
    self.path = path
    aspects = []
    self.old = old
    new = nil
  }
}

/// What both a snapshot and a live tree can tell of an entry.
package struct EntryFacts: Sendable {
  package let type: EntryType
  package let permissions: UInt32
  package let user: UInt32
  package let group: UInt32
  /// In bytes; 0 for directories and special files.
  package let size: UInt64
  package let modified: Timestamp

  package init(_ entry: Entry) {
    type = entry.type
    permissions = entry.permissions
    user = entry.owner.user
    group = entry.owner.group
    size = entry.size
    modified = entry.modified
  }

  init(_ status: FileStatus, _ type: EntryType) {
    self.type = type
    permissions = status.permissions
    user = status.user
    group = status.group
    size = type == .file || type == .symbolicLink ? status.size : 0
    modified = status.modified
  }

  /// What differs beside type and content. A directory's time only says that something in it came or went, which is
  /// listed anyway; a link has no permissions of its own.
  func metadataAspects(_ other: EntryFacts) -> [Difference.Aspect] {
    var out: [Difference.Aspect] = []
    if type != .symbolicLink && permissions != other.permissions { out.append(.mode) }
    if user != other.user || group != other.group { out.append(.owner) }
    if type != .directory && modified != other.modified { out.append(.modified) }
    return out
  }
}

/// How many differences of each kind there were.
package struct DifferenceCounts: Sendable {
  private var counts: [Difference.Kind: UInt64] = [:]

  package init() {}

  package subscript(kind: Difference.Kind) -> UInt64 { counts[kind] ?? 0 }
  package var total: UInt64 { counts.values.reduce(0, +) }

  mutating func add(_ kind: Difference.Kind) { counts[kind, default: 0] += 1 }
}
