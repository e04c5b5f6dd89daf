internal import ObjectStores
internal import ArgumentParser
internal import Maintenance
internal import Platform
internal import RepositoryCore
internal import RepositoryFormat

struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show how the repository is: last snapshots, size, space, who is at work.",
    discussion: "It warns when the last snapshot of a plan of this host is older than two days."
  )

  private static let lateSeconds: Int64 = 2 * 86400

  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let status = try RepositoryStatus(access.open())
    let now = Timestamp.now()
    let warnings = Self.warnings(status, now)
    if output.json {
      Self.printJSON(status, warnings, now)
    } else {
      if !output.quiet { Self.printText(status, now) }
      for warning in warnings { Output.note("yester: \(warning)") }
    }
  }

  private static func age(_ snapshot: CatalogedSnapshot, _ now: Timestamp) -> Int64 {
    let (age, overflow) = now.seconds.subtractingReportingOverflow(snapshot.record.start.seconds)
    return overflow ? .max : max(0, age)
  }

  /// A machine without snapshots of its own looks after all hosts.
  private static func warnings(_ status: RepositoryStatus, _ now: Timestamp) -> [String] {
    var out: [String] = []
    let own = status.plans.filter { $0.host == System.hostName }
    for plan in own.isEmpty ? status.plans : own where age(plan.last, now) > lateSeconds {
      out.append(
        "The last snapshot of the host \(plan.host), plan \(plan.plan), is \(words(age(plan.last, now))) old (\(plan.last.record.name))."
      )
    }
    if status.catalog.snapshots.isEmpty && status.catalog.foreignCount == 0 {
      out.append("There are no snapshots yet.")
    }
    if !status.catalog.damaged.isEmpty {
      out.append("\(status.catalog.damaged.count) snapshot records or notes are unusable; run \"yester verify\".")
    }
    if let problem = status.leaseProblem { out.append(problem) }
    return out
  }

  /// `3 days`, `2 hours`
  private static func words(_ seconds: Int64) -> String {
    for (size, unit) in [(86400, "day"), (3600, "hour"), (60, "minute")] as [(Int64, String)] where seconds >= size {
      return "\(seconds / size) \(unit)\(seconds / size == 1 ? "" : "s")"
    }
    return seconds == 1 ? "1 second" : "\(seconds) seconds"
  }

  private static func printText(_ status: RepositoryStatus, _ now: Timestamp) {
    let catalog = status.catalog
    var rows = [
      ["Repository", status.repository.store.location], ["Id", status.repository.config.id.description],
      ["Format", "1"],
      [
        "Snapshots",
        "\(Output.count(UInt64(catalog.snapshots.count))) of \(status.hosts) host\(status.hosts == 1 ? "" : "s")"
          + (catalog.foreignCount > 0 ? ", and \(catalog.foreignCount) that this key cannot read" : ""),
      ],
      [
        "Packs",
        "\(Output.count(UInt64(status.packs))), \(Output.size(status.packBytes))"
          + (status.condemnedPacks > 0 ? "; \(status.condemnedPacks) of them wait for their deletion" : ""),
      ],
      [
        "Index",
        "\(status.segments) segment\(status.segments == 1 ? "" : "s"), \(Output.count(UInt64(status.chunks))) chunks",
      ],
    ]
    if let space = status.space {
      rows.append(["Free space", "\(Output.size(space.available)) of \(Output.size(space.total))"])
    }
    if let last = status.lastVerification {
      let count = last.snapshots == 1 ? "1 snapshot" : "\(last.snapshots) snapshots"
      rows.append(["Last verified", "\(count), level \(last.level), \(time(last.time)), by \(last.by)"])
    } else {
      rows.append(["Last verified", "never"])
    }
    Output.table(rows)
    if !status.plans.isEmpty {
      Output.line()
      Output.table(
        [["HOST", "PLAN", "LAST SNAPSHOT", "AGE", "SNAPSHOTS", "VERIFIED"]]
          + status.plans.map {
            [
              $0.host, $0.plan, $0.last.record.name, words(age($0.last, now)), "\($0.snapshots)",
              $0.last.verified?.level ?? "-",
            ]
          },
        right: [3, 4]
      )
    }
    if !status.leases.isEmpty {
      Output.line()
      Output.table(
        [["AT WORK", "HOST", "PROCESS", "SINCE", "STATE"]]
          + status.leases.map {
            [
              $0.record.purpose.description, $0.record.host, "\($0.record.process)", time($0.record.since),
              $0.isDead ? "gone" : "alive",
            ]
          }
      )
    }
  }

  private static func time(_ time: Timestamp) -> String { time.iso8601(offset: time.localOffset) }

  private static func printJSON(_ status: RepositoryStatus, _ warnings: [String], _ now: Timestamp) {
    Output.json { json in
      json.beginObject()
      json.field("repository", status.repository.store.location)
      json.field("id", status.repository.config.id.description)
      json.field("format", 1)
      json.field("snapshots", status.catalog.snapshots.count)
      json.field("foreign_snapshots", status.catalog.foreignCount)
      json.field("damaged_records", status.catalog.damaged.count)
      json.field("hosts", status.hosts)
      json.field("packs", status.packs)
      json.field("pack_bytes", status.packBytes)
      json.field("condemned_packs", status.condemnedPacks)
      json.field("index_segments", status.segments)
      json.field("chunks", status.chunks)
      number("space_total", status.space?.total, &json)
      number("space_available", status.space?.available, &json)
      json.key("plans")
      json.beginArray()
      for plan in status.plans {
        json.beginObject()
        json.field("host", plan.host)
        json.field("plan", plan.plan)
        json.field("snapshots", plan.snapshots)
        json.field("last", plan.last.record.name)
        json.field("last_id", plan.last.id.hex)
        json.field("last_created", plan.last.record.start.iso8601(offset: plan.last.record.utcOffset))
        json.field("age_seconds", age(plan.last, now))
        json.field("verified", plan.last.verified != nil)
        json.endObject()
      }
      json.endArray()
      leases(status.leases, &json)
      json.key("last_verification")
      if let last = status.lastVerification {
        json.beginObject()
        json.field("date", last.time.iso8601(offset: 0))
        json.field("level", last.level)
        json.field("by", last.by)
        json.field("snapshots", last.snapshots)
        json.endObject()
      } else {
        json.null()
      }
      json.key("warnings")
      json.beginArray()
      for warning in warnings { json.value(warning) }
      json.endArray()
      json.endObject()
    }
  }

  private static func leases(_ leases: [Leases.Found], _ json: inout JSONWriter) {
    json.key("leases")
    json.beginArray()
    for lease in leases {
      json.beginObject()
      json.field("purpose", lease.record.purpose.word)
      json.field("host", lease.record.host)
      json.field("process", lease.record.process)
      json.field("since", lease.record.since.iso8601(offset: 0))
      json.field("renewed", lease.record.renewed.iso8601(offset: 0))
      json.field("alive", !lease.isDead)
      json.endObject()
    }
    json.endArray()
  }

  private static func number(_ name: String, _ value: UInt64?, _ json: inout JSONWriter) {
    json.key(name)
    if let value { json.value(value) } else { json.null() }
  }
}

extension LeaseRecord.Purpose {
  /// One word for programs.
  var word: String {
    switch self {
    case .backup: "backup"
    case .mount: "mount"
    case .reclaim: "reclaim"
    case .read: "read"
    }
  }
}
