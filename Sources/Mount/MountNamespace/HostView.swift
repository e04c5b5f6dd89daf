internal import Platform
internal import RepositoryFormat
internal import RepositoryCore

/// One host's part of the catalog, as the names that a mount shows.
///
/// Each tree is listed once: a snapshot without a description that is all of its day is listed as the day alone. Its own
/// name leads to it all the same, and is listed as soon as the day has another snapshot.
struct HostView: Sendable {
  let host: String
  /// Oldest first, each under the name that the mount gives it: its own, unless two have the same.
  private(set) var snapshots: [(name: String, snapshot: CatalogedSnapshot)] = []
  /// Days in order, each with the snapshots that make it up: the last one of each plan, newest first.
  private(set) var days: [(name: String, members: [CatalogedSnapshot])] = []
  private(set) var latest: String?
  /// What several snapshots of a day make together, by the day.
  private(set) var unions: [String: DayUnion] = [:]
  /// The names of snapshots that are listed beside the days, oldest first.
  private(set) var listedSnapshots: [String] = []
  /// The names in the host's directory, sorted.
  private(set) var names: [[UInt8]] = []
  private var snapshotIndices: [String: Int] = [:]
  private var dayIndices: [String: Int] = [:]

  init(host: String, _ catalog: [CatalogedSnapshot], listsAll: Bool) {
    self.host = host
    var taken: Set<String> = []
    for snapshot in catalog where snapshot.record.host == host {
      var name = snapshot.record.name
      var counter = 2
      while !taken.insert(name).inserted {
        // Cut, so that the longest of names has room for the number.
        name = "\(String(decoding: snapshot.record.name.utf8.prefix(200), as: UTF8.self))-\(counter)"
        counter += 1
      }
      snapshotIndices[name] = snapshots.count
      snapshots.append((name, snapshot))
    }
    var countOfDay: [String: Int] = [:]
    var members: [String: [String: CatalogedSnapshot]] = [:]
    // A restore point holds a part only, of a moment that was given up: it stands for no day.
    for (name, snapshot) in snapshots where snapshot.record.kind != .restorePoint {
      let day = String(name.prefix(8))
      countOfDay[day, default: 0] += 1
      members[day, default: [:]][snapshot.record.plan] = snapshot
      if snapshot.timeDoubt == nil { latest = name }
    }
    // Where no clock was right, the last is the last.
    latest = latest ?? snapshots.last { $0.snapshot.record.kind != .restorePoint }?.name
    days = members.keys.sorted().map { day in
      (day, (members[day] ?? [:]).values.sorted { ($0.record.start, $0.id) > ($1.record.start, $1.id) })
    }
    for (index, day) in days.enumerated() { dayIndices[day.name] = index }
    listedSnapshots = snapshots.map(\.name).enumerated().filter { index, name in
      let record = snapshots[index].snapshot.record
      let isTheDay = record.kind != .restorePoint && countOfDay[String(name.prefix(8))] == 1
      return listsAll || !isTheDay || !record.summary.isEmpty
    }.map(\.element)
    let all = [".yester"] + (latest == nil ? [] : ["latest"]) + days.map(\.name) + listedSnapshots
    names = all.map { Array($0.utf8) }.sorted { $0.precedes($1) }
  }

  /// Registers what days are made of.
  mutating func unite(_ table: inout ViewTable) {
    for day in days where day.members.count > 1 { unions[day.name] = table.union(host, day.name, day.members) }
  }

  func snapshot(named name: String) -> CatalogedSnapshot? { snapshotIndices[name].map { snapshots[$0].snapshot } }
  func day(named name: String) -> [CatalogedSnapshot]? { dayIndices[name].map { days[$0].members } }
}
