internal import ArgumentParser
internal import Maintenance
internal import ObjectStores
internal import Platform
internal import RepositoryCore
internal import RepositoryFormat
internal import ResultDocuments
internal import Workflows

struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show how the repository is: last snapshots, size, space, who is at work.",
    discussion: "It warns when the last snapshot of a plan of this host is older than two days."
  )

  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let result = try StatusWorkflow().run(access.open())
    if output.json {
      Output.json(StatusDocument(result))
    } else {
      if !output.quiet { Self.printText(result) }
      for warning in result.warnings { Output.note("yester: \(warning)") }
    }
  }

  private static func printText(_ result: StatusWorkflow.Result) {
    let status = result.status
    let catalog = status.catalog
    var rows = [
      ["Repository", status.repository.store.location], ["Id", status.repository.config.id.description],
      ["Format", "1"], ["Protection", status.repository.config.protection.rawValue],
      ["Keys", "\(Output.count(UInt64(status.keys), "key")), epoch \(status.epoch)"],
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
      let by = "\(last.by), writer \(Hex.encode(last.writer.prefix(4)))"
      rows.append(["Last verified", "\(count), level \(last.level), \(time(last.time)), by \(by)"])
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
              $0.host, $0.plan, $0.last.record.name, StatusWorkflow.words(result.age(of: $0)), "\($0.snapshots)",
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
          + status.leases.map { lease, isDead in
            [
              lease.purpose.description, lease.host, "\(lease.process)", time(lease.since), isDead ? "gone" : "alive",
            ]
          }
      )
    }
  }

  private static func time(_ time: Timestamp) -> String { time.iso8601(offset: time.localOffset) }
}
