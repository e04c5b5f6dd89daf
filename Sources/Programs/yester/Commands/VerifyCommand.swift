internal import ArgumentParser
package import Maintenance
internal import Reporting
internal import RepositoryCore
internal import RepositoryOpening
internal import ResultDocuments
internal import Workflows

extension Verify.Level: ExpressibleByArgument {}

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Prove that what is stored is what was stored.",
    discussion: """
      Levels: "structure" checks that records, trees and the index agree; "packs" verifies every object against its \
      name, for which no key is needed; "data" (the default) also opens every block and checks every piece of every \
      file. What is damaged is named, with the snapshots and paths that are hit; the exit status is then 13. With \
      --repair, objects whose damage can be made good (by parity or a second copy, see "yester init --protection") \
      are written anew.
      """)

  @Argument(help: "Only this snapshot (structure and data).") var snapshot: String?
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions
  @Option(help: "How much is checked (default: data; with a write-only key: packs).") var level: Verify.Level?

  @Flag(help: "Write damaged objects anew that can be made good.") var repair = false

  func validate() throws {
    guard level != .packs || snapshot == nil else {
      throw ValidationError("The level packs looks at all objects, not at one snapshot.")
    }
  }

  func run() throws {
    let store = try access.access.store()
    _ = try Repository.config(of: store)
    let workflow = VerificationWorkflow(level: level, snapshot: snapshot, repairs: repair)
    // Before anything is shown: it may ask for a password.
    let repository = workflow.needsKey ? try access.open() : nil
    let result = try workflow.run(on: store, repository, output.interaction()) { finding in
      if !output.json { Output.note("yester: \(Self.words(finding)).") }
    }
    if !output.json { for remark in result.remarks { Output.note("yester: \(remark)") } }
    if output.json { Output.json(VerificationDocument(result)) } else if !output.quiet { Self.show(result) }
    if let failure = result.failure { throw failure }
  }

  private static func words(_ finding: Verify.Finding) -> String {
    guard let snapshot = finding.snapshot, let path = finding.path else { return finding.message }
    return "\(snapshot):\(printable(path)): \(finding.message)"
  }

  private static func show(_ result: VerificationWorkflow.Result) {
    let (level, r) = (result.level, result.counts)
    let what =
      level == .packs
      ? "\(Output.count(UInt64(r.objects), "object")), \(Output.size(r.bytes))"
      : "\(Output.count(UInt64(r.snapshots), "snapshot")), "
        + Output.count(UInt64(r.entries), "different entry", "different entries")
        + (level == .data ? ", " + Output.count(UInt64(r.chunks), "chunk") : "")
    Output.line(
      "Verified at level \(level.rawValue) in \(Output.duration(result.seconds)): \(what). "
        + (r.mended == 0 ? "" : "Mended: \(Output.count(r.mended, "object")). ")
        + (r.findings == 0 ? "All is sound." : Output.count(UInt64(r.findings), "finding") + "."))
  }
}
