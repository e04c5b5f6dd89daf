internal import Platform
package import RepositoryFormat

/// Finds out whether somebody took records away: every writer's records and notes form a chain, and whatever is
/// missing in it must be named as removed by a full writer's note.
///
/// Three things tell what was there: the chain itself, whose links name what came before and are numbered; the records
/// of others, which name the heads that their writers saw; and the memory of this machine. The last two show that the
/// end of a chain was cut, or that all of it is gone.
package enum ChainCheck {
  /// Records or notes that one writer has stored, that are not there, and that no note names as removed.
  package struct Gap: Sendable {
    /// One sentence, without its full stop.
    package let text: String
    /// Public key of the writer, 32 bytes.
    package let writer: [UInt8]
    /// Places in the chain; one where `id` is known.
    package let numbers: ClosedRange<UInt64>
    /// Nil where nothing that is left names what is missing.
    package let id: ObjectID?
    /// Only a write-only writer says so of the chain of another one. That is told, but stops nothing: it would be an
    /// easy lie.
    package let isHearsay: Bool
  }

  /// Several records or notes with one number.
  package struct Fork: Sendable {
    package let writer: [UInt8]
    package let number: UInt64
    /// One sentence, without its full stop.
    package let text: String
  }

  fileprivate struct Link {
    let sequence: UInt64
    let id: ObjectID
    let previous: ObjectID?
    let name: String
  }

  /// One sentence for each gap, and for each record that cannot stand where it says it does; without its full stop.
  package static func findings(_ catalog: SnapshotCatalog) -> [String] {
    let unconnected = chains(catalog).values.joined().filter { $0.previous == nil && $0.sequence > 1 }
    return (catalog.gaps.map(\.text) + unconnected.map { "\($0.name) has lost its predecessor" }).sorted()
  }

  /// What may hold snapshots that nobody sees. One record may be found twice, by its id and by its number.
  static func gaps(_ catalog: SnapshotCatalog) -> [Gap] {
    let removed = Removed(catalog)
    let present = catalog.objects
    var out: [Gap] = []
    func find(_ what: ChainHead, isHearsay: Bool = false, _ why: (String) -> String) {
      guard !present.contains(what.id), !removed.holds(what.writer, what.id, what.sequence) else { return }
      out.append(
        Gap(
          text: why("the record \(what.id.short)") + ", and no note says that it was removed", writer: what.writer,
          numbers: what.sequence...what.sequence, id: what.id, isHearsay: isHearsay))
    }
    let chains = chains(catalog)
    for (writer, links) in chains {
      for link in links {
        guard let previous = link.previous else { continue }
        let before = ChainHead(writer: writer, sequence: max(link.sequence, 2) - 1, id: previous)
        find(before) { "\($0), which came before \(link.name), is gone" }
      }
    }
    for head in catalog.remembered.heads.values {
      find(head) { "\($0), number \(head.sequence) of \(name(head.writer)), which this machine has seen, is gone" }
    }
    var proven = catalog.remembered.heads.mapValues(\.sequence)
    for saying in sayings(catalog) {
      let head = saying.head
      if saying.isFull { proven[head.writer] = max(proven[head.writer] ?? 0, head.sequence) }
      find(head, isHearsay: !saying.isFull) {
        "\($0), number \(head.sequence) of \(name(head.writer)), which \(saying.name) names, is gone"
      }
    }
    for writer in Set(chains.keys).union(proven.keys).subtracting(catalog.unreadableWriters) {
      let known = Set((chains[writer] ?? []).map(\.sequence))
      // What does not count fills its place, and says nothing of places before it.
      let end = max(known.max() ?? 0, proven[writer] ?? 0)
      let uncounted = catalog.uncounted.filter { $0.envelope.writer == writer && $0.sequence < end }.map(\.sequence)
      out += gaps(
        known, (removed.numbers[writer] ?? []) + uncounted.map { $0...$0 }, until: proven[writer] ?? 0, writer)
    }
    return out.sorted { $0.text < $1.text }
  }

  /// Numbers that several records or notes of a writer have.
  static func forks(_ catalog: SnapshotCatalog) -> [Fork] {
    var out: [Fork] = []
    for (writer, links) in chains(catalog) {
      for (number, twins) in Dictionary(grouping: links, by: \.sequence) where twins.count > 1 {
        let names = twins.map(\.name).sorted().prefix(3).joined(separator: ", ")
        out.append(
          Fork(
            writer: writer, number: number,
            text: "\(twins.count) records of \(name(writer)) have the number \(number) (\(names)): its key was used "
              + "twice at the same time, on two machines perhaps, or by somebody who has a copy of it"))
      }
    }
    return out.sorted { ($0.number, $0.text) < ($1.number, $1.text) }
  }

  /// Of each writer the last record or note that is there.
  static func heads(_ catalog: SnapshotCatalog) -> [ChainHead] {
    chains(catalog).compactMap { writer, links in
      links.max { ($0.sequence, $1.id) < ($1.sequence, $0.id) }.flatMap { last in
        guard last.sequence >= 1 else { return nil }
        return ChainHead(writer: writer, sequence: last.sequence, id: last.id)
      }
    }
  }

  static func name(_ writer: [UInt8]) -> String { "the writer \(Hex.encode(writer.prefix(4)))" }

  /// What full writers have named as removed or lost.
  private struct Removed {
    private var ids: Set<ObjectID> = []
    /// Of each writer; in no order.
    var numbers: [[UInt8]: [ClosedRange<UInt64>]] = [:]

    init(_ catalog: SnapshotCatalog) {
      for (_, note, envelope) in catalog.notes where note.kind == .removed && envelope.isFullWriter {
        for subject in note.subjects {
          ids.insert(subject.snapshot)
          numbers[subject.writer, default: []].append(subject.sequence...subject.sequence)
        }
        for loss in note.losses { numbers[loss.writer, default: []].append(loss.numbers) }
        lost += note.losses
      }
    }

    private var lost: [NoteRecord.Loss] = []

    /// A number alone accounts only for what was lost without a trace: a record that was removed had an id.
    func holds(_ writer: [UInt8], _ id: ObjectID, _ sequence: UInt64) -> Bool {
      ids.contains(id) || lost.contains { $0.writer == writer && $0.numbers.contains(sequence) }
    }
  }

  /// All records and notes, by their writers.
  private static func chains(_ catalog: SnapshotCatalog) -> [[UInt8]: [Link]] {
    var chains: [[UInt8]: [Link]] = [:]
    for snapshot in catalog.snapshots {
      chains[snapshot.envelope.writer, default: []].append(
        Link(
          sequence: snapshot.record.sequence, id: snapshot.id, previous: snapshot.record.previous,
          name: "the snapshot \(snapshot.record.name)"))
    }
    for (id, note, envelope) in catalog.notes {
      chains[envelope.writer, default: []].append(
        Link(sequence: note.sequence, id: id, previous: note.previous, name: "the note \(id.short)"))
    }
    return chains
  }

  private struct Saying {
    let head: ChainHead
    let name: String
    let isFull: Bool
  }

  /// What records and notes say of other chains; the word of full writers before that of others.
  private static func sayings(_ catalog: SnapshotCatalog) -> [Saying] {
    var out: [ChainHead: Saying] = [:]
    func hear(_ heads: [ChainHead], _ envelope: Authorship, _ name: @autoclosure () -> String) {
      for head in heads where head.writer != envelope.writer && (envelope.isFullWriter || out[head] == nil) {
        out[head] = Saying(head: head, name: name(), isFull: envelope.isFullWriter)
      }
    }
    for snapshot in catalog.snapshots {
      hear(snapshot.record.heads, snapshot.envelope, "the snapshot \(snapshot.record.name)")
    }
    for (id, note, envelope) in catalog.notes { hear(note.heads, envelope, "the note \(id.short)") }
    return Array(out.values)
  }

  /// Numbers up to the last one known, or `last`, that nothing accounts for: what a removed record pointed at is found by
  /// them alone.
  private static func gaps(
    _ numbers: Set<UInt64>, _ removed: [ClosedRange<UInt64>], until last: UInt64, _ writer: [UInt8]
  ) -> [Gap] {
    var known = numbers.map { $0...$0 } + removed
    // What this machine or others have seen is looked for by its id.
    if last > 0 { known.append(last...last) }
    known.sort { ($0.lowerBound, $0.upperBound) < ($1.lowerBound, $1.upperBound) }
    var out: [Gap] = []
    var expected: UInt64 = 1
    for range in known where range.upperBound >= expected {
      if range.lowerBound > expected {
        let missing = expected...(range.lowerBound - 1)
        let numbers = missing.count == 1 ? "\(expected)" : "\(expected) to \(missing.upperBound)"
        out.append(
          Gap(
            text: "of \(name(writer)), what had number \(numbers) is gone, and no note says that it was removed",
            writer: writer, numbers: missing, id: nil, isHearsay: false))
      }
      expected = range.upperBound &+ 1
    }
    return out
  }
}
