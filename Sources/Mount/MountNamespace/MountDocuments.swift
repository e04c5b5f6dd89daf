internal import Documents
internal import Platform
internal import Reporting
internal import RepositoryFormat

/// The driver, as the files of `.yester` begin that tell of it.
struct DriverDocument: Document {
  let repository: String
  let repositoryID: String
  let mountedSince: Timestamp

  func writeMembers(to json: inout JSONWriter) {
    json.field("repository", repository)
    json.field("repository_id", repositoryID)
    json.field("driver_version", ProgramVersion.number)
    json.field("mounted_since", mountedSince.iso8601(offset: mountedSince.localOffset))
  }
}

/// `.yester/health`
struct MountHealthDocument: Document {
  let driver: DriverDocument
  /// The name of the mount's lease; nil where it has none.
  let lease: String?
  let errorCount: UInt64
  let recentErrors: [String]

  func writeMembers(to json: inout JSONWriter) {
    driver.writeMembers(to: &json)
    json.field("healthy", errorCount == 0)
    json.field("lease", optional: lease)
    json.field("errors_since_start", errorCount)
    json.field("recent_errors", strings: recentErrors)
  }
}

/// `.yester/stats`
struct MountStatisticsDocument: Document {
  let driver: DriverDocument
  /// Of each snapshot that is shown.
  let counts: [SnapshotCounts]
  let cachedBlockBytes: Int
  let cacheSizeBytes: Int
  let peakMemoryKiB: Int
  /// How many of each kind were answered.
  let requests: [(name: String, count: UInt64)]

  func writeMembers(to json: inout JSONWriter) {
    driver.writeMembers(to: &json)
    json.field("snapshots", counts.count)
    json.field("entries", counts.reduce(0) { $0 &+ $1.entries })
    json.field("bytes", counts.reduce(0) { $0 &+ $1.bytes })
    json.field("cached_block_bytes", cachedBlockBytes)
    json.field("cache_size_bytes", cacheSizeBytes)
    json.field("peak_memory_kib", peakMemoryKiB)
    json.key("requests")
    json.beginObject()
    for (name, count) in requests { json.field(name, count) }
    json.endObject()
  }
}
