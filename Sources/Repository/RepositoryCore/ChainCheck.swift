internal import Platform
internal import RepositoryFormat

/// Finds out whether somebody took records away: every writer's records and notes form a chain, and whatever is
/// missing in it must be named as removed by a full writer's note.
package enum ChainCheck {
  /// One sentence for each gap, without its full stop.
  package static func findings(_ catalog: SnapshotCatalog) -> [String] {
    struct Link {
      let sequence: UInt64
      let id: ObjectID
      let previous: ObjectID?
      let name: String
    }
    var chains: [[UInt8]: [Link]] = [:]
    for snapshot in catalog.snapshots {
      chains[snapshot.envelope.writer, default: []].append(
        Link(
          sequence: snapshot.record.sequence, id: snapshot.id, previous: snapshot.record.previous,
          name: "the snapshot \(snapshot.record.name)"))
    }
    var removed: Set<ObjectID> = []
    var removedNumbers: [[UInt8]: Set<UInt64>] = [:]
    for (id, note, envelope) in catalog.notes {
      chains[envelope.writer, default: []].append(
        Link(sequence: note.sequence, id: id, previous: note.previous, name: "the note \(id.short)"))
      guard note.kind == .removed && envelope.role == .full else { continue }
      for subject in note.subjects {
        removed.insert(subject.snapshot)
        removedNumbers[subject.writer, default: []].insert(subject.sequence)
      }
    }
    var out: [String] = []
    for (writer, links) in chains {
      let present = Set(links.map(\.id))
      for link in links {
        guard let previous = link.previous else {
          if link.sequence > 1 { out.append("\(link.name) has lost its predecessor") }
          continue
        }
        if !present.contains(previous) && !removed.contains(previous) {
          out.append(
            "the record \(previous.short), which came before \(link.name), is gone, and no note says that it was removed"
          )
        }
      }
      out += gaps(Set(links.map(\.sequence)).union(removedNumbers[writer] ?? []), writer)
    }
    return out.sorted()
  }

  /// Numbers that nothing accounts for: what a removed record pointed at is found by them alone.
  private static func gaps(_ numbers: Set<UInt64>, _ writer: [UInt8]) -> [String] {
    var out: [String] = []
    var expected: UInt64 = 1
    for number in numbers.sorted() where number >= expected {
      if number > expected {
        let numbers = number - 1 == expected ? "\(expected)" : "\(expected) to \(number - 1)"
        let name = Hex.encode(writer.prefix(4))
        out.append("of the writer \(name), what had number \(numbers) is gone, and no note says that it was removed")
      }
      expected = number &+ 1
    }
    return out
  }
}
