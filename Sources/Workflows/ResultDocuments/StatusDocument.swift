package import Documents
internal import Maintenance
internal import ObjectStores
internal import Platform
internal import RepositoryCore
internal import RepositoryFormat
package import Workflows

/// How a repository is.
package struct StatusDocument: Document {
  package let result: StatusWorkflow.Result

  package init(_ result: StatusWorkflow.Result) { self.result = result }

  package func writeMembers(to json: inout JSONWriter) {
    let status = result.status
    json.field("repository", status.repository.store.location)
    json.field("id", status.repository.config.id.description)
    json.field("format", 1)
    json.field("protection", status.repository.config.protection.rawValue)
    json.field("snapshots", status.catalog.snapshots.count)
    json.field("foreign_snapshots", status.catalog.foreignCount)
    json.field("damaged_records", status.catalog.damaged.count)
    json.field("uncounted_records", status.catalog.uncounted.count)
    json.field("epoch", status.epoch)
    json.field("keys", status.keys)
    json.field("hosts", status.hosts)
    json.field("packs", status.packs)
    json.field("pack_bytes", status.packBytes)
    json.field("condemned_packs", status.condemnedPacks)
    json.field("index_segments", status.segments)
    json.field("chunks", status.chunks)
    json.field("space_total", optionalNumber: status.space?.total)
    json.field("space_available", optionalNumber: status.space?.available)
    json.field("plans", array: status.plans.lazy.map { PlanDocument(plan: $0, ageSeconds: result.age(of: $0)) })
    json.field("leases", array: status.leases.lazy.map { LeaseDocument(lease: $0.lease, isDead: $0.isDead) })
    json.field("last_verification", optional: status.lastVerification.map { LastVerificationDocument(last: $0) })
    json.field("warnings", strings: result.warnings)
  }
}

private struct PlanDocument: Document {
  let plan: RepositoryStatus.Plan
  let ageSeconds: Int64

  func writeMembers(to json: inout JSONWriter) {
    let record = plan.last.record
    json.field("host", plan.host)
    json.field("plan", plan.plan)
    json.field("snapshots", plan.snapshots)
    json.field("last", record.name)
    json.field("last_id", plan.last.id.hex)
    json.field("last_created", record.start.iso8601(offset: record.utcOffset))
    json.field("age_seconds", ageSeconds)
    json.field("verified", plan.last.verified != nil)
  }
}

private struct LeaseDocument: Document {
  let lease: LeaseRecord
  let isDead: Bool

  func writeMembers(to json: inout JSONWriter) {
    json.field("purpose", Self.word(lease.purpose))
    json.field("host", lease.host)
    json.field("process", lease.process)
    json.field("since", lease.since.iso8601(offset: 0))
    json.field("renewed", lease.renewed.iso8601(offset: 0))
    json.field("alive", !isDead)
  }

  private static func word(_ purpose: LeaseRecord.Purpose) -> String {
    switch purpose {
    case .backup: "backup"
    case .mount: "mount"
    case .reclaim: "reclaim"
    case .read: "read"
    case .name: "name"
    }
  }
}

private struct LastVerificationDocument: Document {
  let last: (time: Timestamp, level: String, by: String, writer: [UInt8], snapshots: Int)

  func writeMembers(to json: inout JSONWriter) {
    json.field("date", last.time.iso8601(offset: 0))
    json.field("level", last.level)
    json.field("by", last.by)
    json.field("writer", Hex.encode(last.writer.prefix(4)))
    json.field("snapshots", last.snapshots)
  }
}
