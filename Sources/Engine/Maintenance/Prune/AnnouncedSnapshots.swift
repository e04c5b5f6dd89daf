internal import ObjectStores
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat
internal import SnapshotTree

/// Snapshots whose writers had not proven them to the end when they were looked for. Where the writer is at work, it will
/// prove the snapshot or take it back; where it is gone, this run does.
///
/// They need what they need like all others: nothing is deleted that one of them builds on. But that one of them lacks
/// something is no damage.
struct AnnouncedSnapshots {
  private let living: [ObjectID: Set<[UInt8]>]
  private let gone: [Leases.Found]
  /// Names of leases whose snapshots were found to have all that they need.
  private(set) var proven: [String] = []

  /// To be made when the catalog was read: a writer announces its record before it stores it.
  init(than own: [UInt8]?, in repository: Repository, _ list: CondemnedList, now: Int64) throws {
    let others = try OthersAtWork(than: own, in: repository, list, now: now)
    var living: [ObjectID: Set<[UInt8]>] = [:]
    for found in others.living {
      if let id = found.record?.snapshot, let writer = found.writer { living[id, default: []].insert(writer) }
    }
    self.living = living
    gone = others.goneOrPassedOver.filter { $0.record?.snapshot != nil }
  }

  /// Calls `mark` for a snapshot unless it lacks something and is not finished; the value, or nil. A snapshot whose writer
  /// is gone and that lacks something is taken back, unless `mayWrite` is false; `takenBack` is told of its name.
  mutating func mark<Value>(
    _ reader: SnapshotReader, _ repository: Repository, mayWrite: Bool, takenBack: (String) -> Void,
    _ mark: () throws -> Value
  ) throws -> Value? {
    let snapshot = reader.snapshot
    let writer = snapshot.envelope.writer
    let lease = gone.first { $0.record?.snapshot == snapshot.id && $0.writer == writer }
    let isLiving = living[snapshot.id]?.contains(writer) ?? false
    do {
      if lease != nil { try Self.requireAll(of: reader, repository) }
      let value = try mark()
      if let lease, !isLiving { proven.append(lease.name) }
      return value
    } catch let error as YesterError where error.code == .damaged {
      if isLiving { return nil }
      if let lease {
        guard mayWrite else { return nil }
        try repository.takeBack(snapshot.id, writer: writer, sequence: snapshot.record.sequence)
        try repository.store.delete(.lease(lease.name))
        takenBack(snapshot.record.name)
        return nil
      }
      // Its writer has taken it back since the catalog was read.
      if try repository.store.size(.snapshot(snapshot.id)) == nil { return nil }
      throw error
    }
  }

  /// Throws error 13 unless all that a snapshot needs is there.
  private static func requireAll(of reader: SnapshotReader, _ repository: Repository) throws {
    var needed = NeededChunks()
    try needed.forEach(of: reader) { id, _ in
      for place in try repository.index.places(of: id) where try repository.index.isPresent(place.pack) { return }
      throw YesterError(.damaged, "The chunk \(id.short) is not there")
    }
  }

  /// The snapshots that were found whole are finished from now on. To be called when all that is to be copied was copied.
  func finish(_ repository: Repository) throws {
    for name in proven { try repository.store.delete(.lease(name)) }
  }
}
