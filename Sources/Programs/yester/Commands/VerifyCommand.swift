internal import ChunkCodec
internal import RepositoryFormat
internal import RepositoryOpening
internal import ArgumentParser
package import Maintenance
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import SnapshotTree

extension Verify.Level: ExpressibleByArgument {}

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Prove that what is stored is what was stored.",
    discussion: """
      Levels: "structure" checks that records, trees and the index agree; "packs" holds every object against its \
      name, for which no key is needed; "data" (the default) also opens every block and checks every piece of every \
      file. What is damaged is named, with the snapshots and paths that are hit; the exit status is then 13.
      """)

  @Argument(help: "Only this snapshot (structure and data).") var snapshot: String?
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions
  @Option(help: "How much is checked (default: data; with a write-only key: packs).") var level: Verify.Level?

  func validate() throws {
    guard level != .packs || snapshot == nil else {
      throw ValidationError("The level packs looks at all objects, not at one snapshot.")
    }
  }

  func run() throws {
    let store = try access.access.store()
    _ = try Repository.config(of: store)
    // Before anything is shown: it may ask for a password.
    let repository = level == .packs ? nil : try access.open()
    let progress = RunProgress(stop: Termination.stop)
    let display = ProgressDisplay(progress, output, verb: "Verifying")
    defer { display.finish() }
    let start = System.bootClock
    var findings: [Verify.Finding] = []
    let report: (Verify.Finding) -> Void = { finding in
      findings.append(finding)
      if !output.json { Output.note("yester: \(Self.words(finding)).") }
    }
    let result: Verify.Result
    let done: Verify.Level
    if let repository, repository.keyring.role != .writeOnly {
      done = level ?? .data
      result = try verify(repository, done, progress, report)
    } else {
      guard level == nil || level == .packs else {
        throw YesterError(
          .wrongKey, "A write-only key can verify the level packs only", advice: "Use --level packs or a full key.")
      }
      (result, done) = (try Verify.packs(store, progress: progress, report: report), .packs)
    }
    display.finish()
    show(result, done, Double(System.bootClock - start) / 1e9, findings)
    if result.findings > 0 {
      throw YesterError(
        .damaged, "\(result.findings) \(result.findings == 1 ? "thing is" : "things are") damaged (named above)",
        advice:
          "If you have a second copy of the repository, copy the damaged objects back from there. Otherwise move "
          + "damaged packs out of the repository and run a new backup: what still exists at the source is stored again."
      )
    }
  }

  private func verify(
    _ repository: Repository, _ level: Verify.Level, _ progress: RunProgress,
    _ report: @escaping (Verify.Finding) -> Void
  ) throws -> Verify.Result {
    let lease = try Lease.take(repository, .read, isRequired: false)
    defer { lease?.release() }
    let catalog = try repository.readCatalog(trustingCache: false)
    let chosen = try snapshot.map { [try SnapshotSelector($0).findWhole(in: catalog)] } ?? catalog.snapshots
    let (result, sound) = try Verify.snapshots(
      repository, catalog, chosen, level, progress: progress, report: report)
    if level == .data { try Verify.note(repository, sound, level: level.rawValue) }
    return result
  }

  private static func words(_ finding: Verify.Finding) -> String {
    guard let snapshot = finding.snapshot, let path = finding.path else { return finding.message }
    return "\(snapshot):\(printable(path)): \(finding.message)"
  }

  private func show(_ r: Verify.Result, _ level: Verify.Level, _ seconds: Double, _ findings: [Verify.Finding]) {
    if output.json {
      Output.json { json in
        json.beginObject()
        json.field("level", level.rawValue)
        json.field("sound", r.findings == 0)
        json.field("seconds", seconds)
        json.field("objects", r.objects)
        json.field("bytes", r.bytes)
        json.field("snapshots", r.snapshots)
        json.field("entries", r.entries)
        json.field("chunks", r.chunks)
        json.field("finding_count", r.findings)
        json.key("findings")
        json.beginArray()
        for finding in findings {
          json.beginObject()
          json.field("message", finding.message)
          json.field("snapshot", optional: finding.snapshot)
          json.field("path", optional: finding.path.map { printable($0) })
          json.endObject()
        }
        json.endArray()
        json.endObject()
      }
    } else if !output.quiet {
      let what =
        level == .packs
        ? "\(Output.count(UInt64(r.objects), "object")), \(Output.size(r.bytes))"
        : "\(Output.count(UInt64(r.snapshots), "snapshot")), "
          + Output.count(UInt64(r.entries), "different entry", "different entries")
          + (level == .data ? ", " + Output.count(UInt64(r.chunks), "chunk") : "")
      Output.line(
        "Verified at level \(level.rawValue) in \(Output.duration(seconds)): \(what). "
          + (r.findings == 0 ? "All is sound." : Output.count(UInt64(r.findings), "finding") + "."))
    }
  }
}
