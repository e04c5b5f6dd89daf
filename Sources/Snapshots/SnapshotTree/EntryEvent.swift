package import RepositoryFormat

/// What became of one entry of a run, for whoever wants to see each.
package struct EntryEvent: Sendable {
  package enum Kind: String, Sendable {
    /// Of a backup: it was not in the base.
    case added
    /// Of a backup: its content or metadata are others than in the base.
    case modified
    /// Of a backup or a restore.
    case unchanged
    /// Of a backup: rules leave it out, with all below it.
    case excluded
    /// Of a backup: its content was left out, as `reason` says.
    case skipped
    /// Of a restore.
    case created, replaced, metadata, deleted
  }
  package let kind: Kind
  /// Without a slash in front: of a backup from the root, of a restore below the destination.
  package let path: [UInt8]
  /// Nil where it is not known.
  package var type: EntryType?
  /// Of a file's content.
  package var size: UInt64?
  /// A sentence without its full stop.
  package var reason: String?

  package init(_ kind: Kind, _ path: [UInt8], type: EntryType? = nil, size: UInt64? = nil, reason: String? = nil) {
    self.kind = kind
    self.path = path
    self.type = type
    self.size = size
    self.reason = reason
  }

  package init(_ kind: Kind, _ path: [UInt8], _ entry: Entry) {
    var size: UInt64?
    if case .file(let length, _) = entry.body { size = length }
    self.init(kind, path, type: entry.type, size: size)
  }
}

/// Who is told of entries, and of which; called by one thread at a time. Nil in its place costs a run nothing.
package struct EntryListing {
  /// Also of those that need nothing, or are left out.
  package let isComplete: Bool
  package let tell: (EntryEvent) -> Void

  package init(isComplete: Bool, _ tell: @escaping (EntryEvent) -> Void) {
    self.isComplete = isComplete
    self.tell = tell
  }

  /// For a part of the work whose paths begin below `name`.
  package func below(_ name: [UInt8]) -> EntryListing {
    EntryListing(isComplete: isComplete) { event in
      let path = event.path.isEmpty ? name : name + [0x2F] + event.path
      tell(EntryEvent(event.kind, path, type: event.type, size: event.size, reason: event.reason))
    }
  }
}
