internal import Platform
package import Reporting
internal import RepositoryFormat

/// One step of a restore. Paths are relative to the destination, without a slash in front; the destination itself is
/// empty.
package struct RestoreAction: Sendable {
  package enum Kind: Sendable, Equatable {
    /// Nothing is there yet: the entry and all below it are made.
    case create
    /// Something else is there; it goes, with all below it.
    case replace(ReplaceReason)
    /// The content is the same; mode, owner, times or attributes are set.
    case setMetadata
    /// A directory's metadata are set when all below it is done.
    case finishDirectory
    /// It is not in the snapshot and goes, with all below it. Only planned when deletion was asked for.
    case delete
  }
  package enum ReplaceReason: String, Sendable {
    case contentDiffers = "its content differs"
    case newerThanSnapshot = "it was changed after the snapshot"
    case typeDiffers = "it is of another type"
    case linkDiffers = "it is not the same hard link"
  }
  package let kind: Kind
  package let path: [UInt8]
  /// The entry's number in the snapshot; nil for a deletion.
  package let number: UInt64?
  /// Entries that this step makes.
  package let entries: UInt64
  /// Bytes of files that this step writes.
  package let bytes: UInt64
}

/// Exactly what a restore will do: shown first, then carried out.
package struct RestorePlan: Sendable {
  package internal(set) var actions: [RestoreAction] = []
  /// Entries that are already as they should be.
  package internal(set) var unchanged: UInt64 = 0
  package internal(set) var problems: [PathProblem] = []
  /// For link groups of which a member is there and stays: its path. Others become links to it.
  var keptLinks: [LinkIdentity: [UInt8]] = [:]

  package var creates: UInt64 { sum { $0.kind == .create } }
  package var replaces: UInt64 { UInt64(actions.count { if case .replace = $0.kind { true } else { false } }) }
  package var metadata: UInt64 { UInt64(actions.count { $0.kind == .setMetadata }) }
  package var deletes: UInt64 { UInt64(actions.count { $0.kind == .delete }) }
  package var bytes: UInt64 { actions.reduce(0) { $0.clampedSum($1.bytes) } }
  /// Whether anything of what is there is lost by it.
  package var isDestructive: Bool { replaces + deletes + metadata > 0 }
  package var isEmpty: Bool { actions.allSatisfy { $0.kind == .finishDirectory } }

  private func sum(_ isMeant: (RestoreAction) -> Bool) -> UInt64 {
    actions.reduce(0) { $0 + (isMeant($1) ? $1.entries : 0) }
  }
}
