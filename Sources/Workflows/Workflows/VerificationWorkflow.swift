internal import ChunkCodec
package import Maintenance
package import ObjectStores
internal import Platform
package import Reporting
package import RepositoryCore
internal import RepositoryFormat
internal import SnapshotTree

/// Proves that what is stored is what was stored.
package struct VerificationWorkflow {
  package struct Result: Sendable {
    /// The level that was carried out.
    package let level: Verify.Level
    package let counts: Verify.Result
    /// Of what is damaged in many places not each is named.
    package let findings: [Verify.Finding]
    /// Sentences on what is no damage, and should be known.
    package let remarks: [String]
    package let seconds: Double
    /// What the run ends with when something is damaged.
    package let failure: YesterError?
  }

  /// Nil for all that the key allows.
  package var level: Verify.Level?
  /// Only this snapshot; nil for all.
  package var snapshot: String?
  /// What is damaged and can be made good is written anew.
  package var repairs: Bool

  package init(level: Verify.Level? = nil, snapshot: String? = nil, repairs: Bool = false) {
    self.level = level
    self.snapshot = snapshot
    self.repairs = repairs
  }

  /// Whether the repository has to be opened for it.
  package var needsKey: Bool { level != .packs }

  /// `repository` is that of `store`, opened; nil where no key is needed. `found` is told of what is damaged at once.
  /// Throws `YesterError`, and `Stopped` when it was interrupted.
  package func run(
    on store: any ObjectStore, _ repository: Repository?, _ interaction: Interaction,
    found: @escaping (Verify.Finding) -> Void = { _ in }
  ) throws -> Result {
    try interaction.stage(.verify) { progress in
      let start = System.bootClock
      var findings: [Verify.Finding] = []
      let report: (Verify.Finding) -> Void = { finding in
        findings.append(finding)
        found(finding)
      }
      var remarks: [String] = []
      let done: Verify.Level
      let counts: Verify.Result
      if let repository, repository.keyring.role != .writeOnly {
        done = level ?? .data
        (counts, remarks) = try verify(repository, done, progress, report)
      } else {
        guard level == nil || level == .packs else {
          throw YesterError(
            .wrongKey, "A write-only key can verify the level packs only", advice: "Use --level packs or a full key.")
        }
        done = .packs
        let protected = try repository?.store ?? Repository.protected(store)
        counts = try Verify.packs(protected, repairs: repairs, progress: progress, report: report)
      }
      return Result(
        level: done, counts: counts, findings: findings, remarks: remarks,
        seconds: Double(System.bootClock - start) / 1e9,
        failure: Self.failure(counts))
    }
  }

  private func verify(
    _ repository: Repository, _ level: Verify.Level, _ progress: RunProgress,
    _ report: @escaping (Verify.Finding) -> Void
  ) throws -> (Verify.Result, remarks: [String]) {
    let lease = try Lease.take(repository, .read, isRequired: false)
    defer { lease?.release() }
    // What is to be mended is all that can be: reading alone meets no second copies, and no slots of others.
    let objects =
      repairs && level != .packs
      ? try Verify.packs(repository.store, repairs: true, progress: progress, report: report) : nil
    let catalog = try repository.readCatalog(trustingCache: false, telling: false)
    let chosen = try snapshot.map { [try SnapshotSelector($0).findWhole(in: catalog)] } ?? catalog.snapshots
    var (result, sound) = try Verify.snapshots(repository, catalog, chosen, level, progress: progress, report: report)
    try Verify.mendMet(repository.store, repairs: repairs, &result, report: report)
    if let objects {
      result.mended += objects.mended
      result.findings += objects.findings
    }
    if level == .data {
      try Verify.state(repository, verified: result.verifiedPacks)
      try Verify.note(repository, sound, level: level.rawValue)
    }
    return (result, catalog.uncounted.map(Self.words))
  }

  private static func words(_ record: UncountedRecord) -> String {
    let what = record.name.map { "The snapshot \($0) (\(record.id.short))" } ?? "The note \(record.id.short)"
    return "\(what) counts for nothing: \(record.reason)."
  }

  private static func failure(_ counts: Verify.Result) -> YesterError? {
    guard counts.findings > 0 else { return nil }
    return YesterError(
      .damaged, "\(counts.findings) \(counts.findings == 1 ? "thing is" : "things are") damaged (named above)",
      advice:
        "Where \"yester verify --repair\" is named, run that first. If you have a second copy of the repository, copy the damaged objects back from there. Otherwise move "
        + "damaged packs out of the repository and run a new backup: what still exists at the source is stored again.")
  }
}
