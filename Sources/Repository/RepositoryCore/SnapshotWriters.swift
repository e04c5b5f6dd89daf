internal import Platform
internal import RepositoryFormat

/// Who made a snapshot, as far as it matters to whom its place belongs.
package enum WriterClass: Hashable, Sendable, CustomStringConvertible {
  /// Whoever holds a full key may remove any snapshot anyway.
  case full
  /// The id of a write-only member, which stays when its keys are renewed: what it says of itself must not touch what
  /// others made.
  case writeOnly([UInt8])

  package var description: String {
    switch self {
    case .full: "full"
    case .writeOnly(let member): Hex.encode(member.prefix(4))
    }
  }
}

extension CatalogedSnapshot {
  package var writerClass: WriterClass { envelope.isFullWriter ? .full : .writeOnly(envelope.member.bytes) }

  /// Snapshots of one series follow each other: the same sources of a plan of a host, by the same kind of writer. What
  /// happens to one depends on the others of its series alone.
  package struct Series: Hashable, Sendable {
    package let host: String
    package let plan: String
    package let sources: Set<[UInt8]>
    package let writer: WriterClass

    package init(host: String, plan: String, sources: Set<[UInt8]>, writer: WriterClass) {
      self.host = host
      self.plan = plan
      self.sources = sources
      self.writer = writer
    }
  }

  package var series: Series {
    Series(host: record.host, plan: record.plan, sources: Set(record.sources), writer: writerClass)
  }
}
