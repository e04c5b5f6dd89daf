package import Maintenance
package import Platform
package import RepositoryCore
internal import RepositoryFormat

/// How a repository is, and what its owner should look after.
package struct StatusWorkflow {
  package struct Result: Sendable {
    package let status: RepositoryStatus
    /// The moment that ages count to.
    package let time: Timestamp
    /// Sentences on what should be looked after; none when all is well.
    package let warnings: [String]

    /// Seconds since the last snapshot of a plan began; 0 for one that claims to be from the future.
    package func age(of plan: RepositoryStatus.Plan) -> Int64 {
      let (age, overflow) = time.seconds.subtractingReportingOverflow(plan.last.record.start.seconds)
      return overflow ? .max : max(0, age)
    }
  }

  private static let lateSeconds: Int64 = 2 * 86400
  /// Whose snapshots are looked after first.
  package var host = System.hostName
  /// Nil for now.
  package var time: Timestamp?

  package init() {}

  package func run(_ repository: Repository) throws -> Result {
    let status = try RepositoryStatus(repository)
    let time = time ?? .now()
    let bare = Result(status: status, time: time, warnings: [])
    return Result(status: status, time: time, warnings: warnings(bare))
  }

  /// A machine without snapshots of its own looks after all hosts.
  private func warnings(_ result: Result) -> [String] {
    let status = result.status
    var out: [String] = []
    let own = status.plans.filter { $0.host == host }
    for plan in own.isEmpty ? status.plans : own where result.age(of: plan) > Self.lateSeconds {
      out.append(
        "The last snapshot of the host \(plan.host), plan \(plan.plan), is \(Self.words(result.age(of: plan))) old "
          + "(\(plan.last.record.name)).")
    }
    if status.catalog.snapshots.isEmpty && status.catalog.foreignCount == 0 {
      out.append("There are no snapshots yet.")
    }
    if !status.catalog.damaged.isEmpty {
      out.append("\(status.catalog.damaged.count) snapshot records or notes are unusable; run \"yester verify\".")
    }
    if let loss = status.catalog.loss { out.append("\(loss); run \"yester verify\".") }
    out += status.catalog.forks.map { $0.text + "." }
    let uncounted = status.catalog.uncounted.count
    if uncounted > 0 {
      let (count, them) = uncounted == 1 ? ("1 record counts", "it") : ("\(uncounted) records count", "them")
      out.append(
        "\(count) for nothing, because of who has written \(them); \"yester verify --level structure\" names \(them).")
    }
    if status.unreadableLeases > 0 {
      out.append(
        "\(status.unreadableLeases) leases cannot be read. They hold up the reclaiming of space for a day at most.")
    }
    return out
  }

  /// A length of time in the largest unit that fits: `3 days`, `2 hours`.
  package static func words(_ seconds: Int64) -> String {
    for (size, unit) in [(86400, "day"), (3600, "hour"), (60, "minute")] as [(Int64, String)] where seconds >= size {
      return "\(seconds / size) \(unit)\(seconds / size == 1 ? "" : "s")"
    }
    return seconds == 1 ? "1 second" : "\(seconds) seconds"
  }
}
