internal import Platform
package import RepositoryFormat

/// Finds out whether somebody took records away: every writer's records and notes form a chain, and whatever is
/// missing in it must be named as removed by a full writer's note.
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
  }

  private struct Link {
    let sequence: UInt64
    let id: ObjectID
    let previous: ObjectID?
    let name: String
  }

  /// One sentence for each gap, and for each record that cannot stand where it says it does; without its full stop.
  package static func findings(_ catalog: SnapshotCatalog) -> [String] {
    let unconnected = chains(catalog).values.joined().filter { $0.previous == nil && $0.sequence > 1 }
    return (gaps(catalog).map(\.text) + unconnected.map { "\($0.name) has lost its predecessor" }).sorted()
  }

  /// What may hold snapshots that nobody sees. One record may be found twice, by its id and by its number.
  package static func gaps(_ catalog: SnapshotCatalog) -> [Gap] {
    var removed: Set<ObjectID> = []
    var removedNumbers: [[UInt8]: Set<UInt64>] = [:]
    for (_, note, envelope) in catalog.notes where note.kind == .removed && envelope.role == .full {
      for subject in note.subjects {
        removed.insert(subject.snapshot)
        removedNumbers[subject.writer, default: []].insert(subject.sequence)
      }
    }
    var out: [Gap] = []
    for (writer, links) in chains(catalog) {
      let present = Set(links.map(\.id))
      for link in links {
        guard let previous = link.previous, !present.contains(previous) && !removed.contains(previous) else { continue }
        let number = max(link.sequence, 1) - 1
        out.append(
          Gap(
            text: "the record \(previous.short), which came before \(link.name), is gone, "
              + "and no note says that it was removed",
            writer: writer, numbers: number...number, id: previous))
      }
      out += gaps(Set(links.map(\.sequence)).union(removedNumbers[writer] ?? []), writer)
    }
    return out.sorted { $0.text < $1.text }
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

  /// Numbers that nothing accounts for: what a removed record pointed at is found by them alone.
  private static func gaps(_ numbers: Set<UInt64>, _ writer: [UInt8]) -> [Gap] {
    var out: [Gap] = []
    var expected: UInt64 = 1
    for number in numbers.sorted() where number >= expected {
      if number > expected {
        let missing = expected...(number - 1)
        let numbers = missing.count == 1 ? "\(expected)" : "\(expected) to \(number - 1)"
        let name = Hex.encode(writer.prefix(4))
        out.append(
          Gap(
            text: "of the writer \(name), what had number \(numbers) is gone, and no note says that it was removed",
            writer: writer, numbers: missing, id: nil))
      }
      expected = number &+ 1
    }
    return out
  }
}
