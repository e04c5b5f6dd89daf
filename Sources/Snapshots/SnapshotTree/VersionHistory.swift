internal import Platform
internal import RepositoryCore
package import RepositoryFormat
package import Reporting

/// What became of one path over a number of snapshots.
///
/// Looking it up costs one way down the tree for each snapshot, whatever the snapshots hold beside it. Neighbours
/// share most listings, so that the readers should share one `TreeStore`, whose cache then answers most of it.
///
/// Snapshots whose sources do not touch the path say nothing about it (another plan's, for example): they are left
/// out, and neither begin a version nor end one.
package struct VersionHistory: Sendable {
  /// Snapshots one behind the other that show the same at the path.
  package struct Run: Sendable {
    /// Indices of the list of readers, ascending; never empty.
    package fileprivate(set) var readers: [Int]
    /// The path's entry in the first of them; nil when they do not hold the path.
    package let node: SnapshotNode?
  }

  /// Oldest first; two neighbours always differ. Snapshots before the path's first appearance are one run without
  /// a node.
  package private(set) var runs: [Run] = []

  /// The distinct versions, oldest first: the first reader that shows each, and the entry there. A version that went
  /// away and came back unchanged appears again, unless it only was absent in between.
  package var versions: [(reader: Int, node: SnapshotNode)] {
    var out: [(reader: Int, node: SnapshotNode)] = []
    for run in runs {
      guard let node = run.node, let reader = run.readers.first else { continue }
      if let last = out.last, last.node.entry.isSameVersion(as: node.entry) { continue }
      out.append((reader, node))
    }
    return out
  }

  /// `readers` are in the order of time. `path` is relative to the root, without a slash in front. `isStopped` is
  /// asked now and then; when it says true, what was found so far is the result.
  package init(of path: [UInt8], in readers: [SnapshotReader], isStopped: () -> Bool = { false }) throws(YesterError) {
    for (index, reader) in readers.enumerated() where reader.snapshot.record.mayHold(path) {
      if isStopped() { return }
      let node = try reader.node(at: path)
      if let last = runs.last, Self.isSame(last.node, node) {
        runs[runs.count - 1].readers.append(index)
      } else {
        runs.append(Run(readers: [index], node: node))
      }
    }
  }

  private static func isSame(_ a: SnapshotNode?, _ b: SnapshotNode?) -> Bool {
    guard let a, let b else { return a == nil && b == nil }
    return a.entry.isSameVersion(as: b.entry)
  }
}

extension Entry {
  /// Whether two entries show the user the same: type, content, permissions, owner, time of modification and extended
  /// attributes. What only the source's file system can tell does not count: number of links and link group, inode,
  /// times of change and birth. Names are not compared.
  ///
  /// A directory's content is its listing, and with it all that is below. Listings (and files without a SHA-256) that
  /// were stored before and after a rotation of keys never count as equal.
  package func isSameVersion(as other: Entry) -> Bool {
    permissions == other.permissions && owner == other.owner && modified == other.modified
      && isPartial == other.isPartial && attributes.isSame(as: other.attributes) && hasSameContent(as: other)
  }

  /// Whether type and content are the same, as far as that can be told without reading.
  package func hasSameContent(as other: Entry) -> Bool {
    switch (body, other.body) {
    case (.file(let size, let content), .file(let otherSize, let otherContent)):
      guard size == otherSize else { return false }
      // One content can be cut in several ways: the hash of all of it decides where both have one.
      if let digest = content.digest, let otherDigest = otherContent.digest { return digest == otherDigest }
      return content == otherContent
    default: return body == other.body
    }
  }
}

extension SnapshotRecord {
  /// Whether a path can be in the snapshot at all: it is a source, below one, or on the way to one.
  package func mayHold(_ path: [UInt8]) -> Bool {
    let parts = path.split(separator: 0x2F)
    return sources.isEmpty
      || sources.contains { source in
        zip(source.split(separator: 0x2F), parts).allSatisfy { $0.elementsEqual($1) }
      }
  }
}
