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
    for (id, note, envelope) in catalog.notes {
      chains[envelope.writer, default: []].append(
        Link(sequence: note.sequence, id: id, previous: note.previous, name: "the note \(id.short)"))
      if note.kind == .removed && envelope.role == .full { removed.formUnion(note.subjects.map(\.snapshot)) }
    }
    var out: [String] = []
    for links in chains.values {
      let present = Set(links.map(\.id))
      for link in links.sorted(by: { $0.sequence < $1.sequence }) {
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
    }
    return out.sorted()
  }
}
