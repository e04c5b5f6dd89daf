package import Platform

/// The last record or note of a writer's chain that somebody has seen (docs/format.md, section 8.1).
package struct ChainHead: Sendable, Hashable {
  /// Public key of the writer, 32 bytes.
  package let writer: [UInt8]
  /// 1 to `Limits.sequenceMax`.
  package let sequence: UInt64
  package let id: ObjectID

  package init(writer: [UInt8], sequence: UInt64, id: ObjectID) {
    self.writer = writer
    self.sequence = sequence
    self.id = id
  }
}

extension RecordFields {
  /// Heads in the order of their writers' keys, no writer twice.
  package func heads(_ tag: UInt64, limit: Int) throws(FormatError) -> [ChainHead] {
    try parse(tag) { (reader) throws(FormatError) in
      let count = try reader.count(limit: limit)
      var out: [ChainHead] = []
      for _ in 0..<count {
        let head = ChainHead(writer: try reader.array(32), sequence: try reader.varint(), id: try reader.id())
        guard (1...Limits.sequenceMax).contains(head.sequence),
          out.last.map({ $0.writer.lexicographicallyPrecedes(head.writer) }) ?? true
        else { throw FormatError("its heads of chains are damaged") }
        out.append(head)
      }
      return out
    } ?? []
  }

  /// Nothing where there are none.
  package mutating func set(_ tag: UInt64, heads: [ChainHead]) {
    guard !heads.isEmpty else { return }
    set(tag) {
      $0.varint(heads.count)
      for head in heads.sorted(by: { $0.writer.lexicographicallyPrecedes($1.writer) }) {
        $0.raw(head.writer)
        $0.varint(head.sequence)
        $0.id(head.id)
      }
    }
  }
}
