internal import RepositoryFormat
internal import RepositoryStore

/// One host's part of the catalog, as the names that a mount shows.
struct HostView: Sendable {
  let host: String
  /// Oldest first, each under the name that the mount gives it: its own, unless two have the same.
  private(set) var snapshots: [(name: String, snapshot: CatalogedSnapshot)] = []
  /// Days in order, each with the snapshots that make it up: the last one of each plan, newest first.
  private(set) var days: [(name: String, members: [CatalogedSnapshot])] = []
  private(set) var latest: String?

  init(host: String, _ catalog: [CatalogedSnapshot]) {
    self.host = host
    var taken: Set<String> = []
    for snapshot in catalog where snapshot.record.host == host {
      var name = snapshot.record.name
      var counter = 2
      while !taken.insert(name).inserted {
        name = "\(snapshot.record.name)-\(counter)"
        counter += 1
      }
      snapshots.append((name, snapshot))
    }
    var members: [String: [String: CatalogedSnapshot]] = [:]
    // A restore point holds a part only, of a moment that was given up: it stands for no day.
    for (name, snapshot) in snapshots where snapshot.record.kind != .restorePoint {
      members[String(name.prefix(8)), default: [:]][snapshot.record.plan] = snapshot
      latest = name
    }
    days = members.keys.sorted().map { day in
      (day, (members[day] ?? [:]).values.sorted { ($0.record.start, $0.id) > ($1.record.start, $1.id) })
    }
  }

  func snapshot(named name: String) -> CatalogedSnapshot? { snapshots.first { $0.name == name }?.snapshot }
  func day(named name: String) -> [CatalogedSnapshot]? { days.first { $0.name == name }?.members }
}
