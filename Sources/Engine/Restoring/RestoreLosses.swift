package import Platform
internal import RepositoryFormat
internal import Synchronization

/// What the destination of a restore could not keep: entries that are there, with all their content, and lack something.
/// Counted by kind, for there may be one of each file: a disk without owners has none for anybody. All threads.
package final class RestoreLosses: Sendable {
  package enum Kind: String, Sendable, CaseIterable {
    case owner
    case permissions
    case times
    case attributes
    /// Names of one file have become files of their own.
    case hardLinks = "hard_links"
  }

  package struct Loss: Sendable {
    package let kind: Kind
    /// The system's words; nil where setting it was answered with success, and it is not what was set.
    package let reason: Errno?
    package var count: UInt64 = 0
    /// One of the entries.
    package var example: [UInt8]
    /// The largest difference of a time in nanoseconds; 0 for other kinds.
    package var difference: UInt64 = 0
  }

  private struct Key: Hashable {
    let kind: Kind
    let reason: Errno?
  }
  private let losses = Mutex<[Key: Loss]>([:])

  package init() {}

  func add(_ kind: Kind, _ path: [UInt8], _ reason: Errno? = nil, difference: UInt64 = 0) {
    losses.withLock {
      var loss = $0[Key(kind: kind, reason: reason)] ?? Loss(kind: kind, reason: reason, example: path)
      loss.count += 1
      loss.difference = max(loss.difference, difference)
      $0[Key(kind: kind, reason: reason)] = loss
    }
  }

  /// In the order of kinds, the most frequent reason first.
  package var all: [Loss] {
    let found = losses.withLock { Array($0.values) }
    return Kind.allCases.flatMap { kind in
      found.filter { $0.kind == kind }.sorted { $0.count > $1.count }
    }
  }

  /// Compares what an entry shows with what it should, and counts the difference. `reasons` are the errors of setting it.
  func compare(_ entry: Entry, _ status: FileStatus, _ path: [UInt8], _ reasons: [Kind: Errno]) {
    // An ordinary user restores files as their own.
    if System.isRoot, status.user != entry.owner.user || status.group != entry.owner.group {
      add(.owner, path, reasons[.owner])
    }
    if entry.type != .symbolicLink, status.permissions != entry.permissions {
      add(.permissions, path, reasons[.permissions])
    }
    if status.modified != entry.modified {
      add(.times, path, reasons[.times], difference: Self.difference(status.modified, entry.modified))
    }
  }

  private static func difference(_ a: Timestamp, _ b: Timestamp) -> UInt64 {
    let (early, late) = a < b ? (a, b) : (b, a)
    let seconds = late.seconds.subtractingReportingOverflow(early.seconds)
    guard !seconds.overflow, seconds.partialValue < 1 << 32 else { return .max }
    return UInt64(seconds.partialValue) * 1_000_000_000 + UInt64(late.nanoseconds) &- UInt64(early.nanoseconds)
  }
}
