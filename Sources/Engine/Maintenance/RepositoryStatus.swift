internal import ChunkCodec
package import ObjectStores
package import Platform
package import Reporting
package import RepositoryCore
package import RepositoryFormat

/// What can be said of a repository without reading packs.
package struct RepositoryStatus: Sendable {
  package struct Plan: Sendable {
    package let host: String
    package let plan: String
    package let snapshots: Int
    package let last: CatalogedSnapshot
  }

  package let repository: Repository
  package let catalog: SnapshotCatalog
  /// The last snapshot of each plan of each host, restore points aside; sorted by host and plan.
  package private(set) var plans: [Plan] = []
  package let hosts: Int
  /// The epoch that says who may open it, and how many keys that are.
  package let epoch: UInt64
  package let keys: Int
  package private(set) var packs = 0
  package private(set) var packBytes: UInt64 = 0
  package private(set) var condemnedPacks = 0
  package private(set) var chunks = 0
  package let segments: Int
  /// Who is at work, and whether that process is certainly gone.
  package let leases: [(lease: LeaseRecord, isDead: Bool)]
  /// Those that this key cannot read, or that are damaged.
  package let unreadableLeases: Int
  /// Where the repository lies; nil where nobody can say.
  package let space: StoreSpace?
  /// The last verification that reached its end with a snapshot.
  package private(set) var lastVerification:
    (time: Timestamp, level: String, by: String, writer: [UInt8], snapshots: Int)?

  package init(_ repository: Repository) throws(YesterError) {
    self.repository = repository
    epoch = repository.keyring.epoch.number
    keys = repository.keyring.roster.members.count(where: \.isInForce)
    catalog = try repository.readCatalog(trustingCache: false, telling: false)
    hosts = Set(catalog.snapshots.map(\.record.host)).count
    try repository.readCondemned()
    let view = repository.index.current
    segments = view.segments.count
    let found = try Leases.list(repository)
    leases = found.compactMap { lease in lease.record.map { ($0, lease.isDead) } }
    unreadableLeases = found.count - leases.count
    space = try? repository.store.space()
    // Only full writers can have opened everything.
    let verifications = catalog.notes.filter { $0.note.kind == .verified && $0.envelope.isFullWriter }
    if let (_, note, envelope) = verifications.last {
      lastVerification = (note.time, note.level, note.by, envelope.writer, note.subjects.count)
    }
    try count(view)
    listPlans()
  }

  /// A pack that several segments list counts once.
  private mutating func count(_ view: ChunkIndex.View) throws(YesterError) {
    var known: Set<ObjectID> = []
    for segment in view.segments {
      chunks += segment.chunkCount
      for index in 0..<segment.packCount {
        let pack: IndexLayout.Pack
        do {
          pack = try segment.pack(index)
        } catch {
          throw YesterError.damaged("The index segment \(segment.id.short)", error)
        }
        guard known.insert(pack.id).inserted else { continue }
        packs += 1
        packBytes += pack.size
        if view.condemned.packs[pack.id] != nil { condemnedPacks += 1 }
      }
    }
  }

  private mutating func listPlans() {
    struct Key: Hashable {
      let host: String
      let plan: String
    }
    let groups = Dictionary(grouping: catalog.snapshots.filter { $0.record.kind != .restorePoint }) {
      Key(host: $0.record.host, plan: $0.record.plan)
    }
    plans = groups.compactMap { key, snapshots in
      // One from the future would hide that there are no new ones.
      snapshots.withCredibleTimes.last.map {
        Plan(host: key.host, plan: key.plan, snapshots: snapshots.count, last: $0)
      }
    }.sorted { ($0.host, $0.plan) < ($1.host, $1.plan) }
  }
}
