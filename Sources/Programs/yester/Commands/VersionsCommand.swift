internal import ArgumentParser
internal import Documents
internal import Exploring
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat
internal import ResultDocuments
internal import SnapshotTree

struct VersionsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "versions",
    abstract: "Show every version of a file or directory that the snapshots hold.",
    discussion: """
      Oldest first; snapshots one behind the other that show the same are one version. A version is what users see: \
      content, mode, owner, time and extended attributes. Snapshots of other sources are left out.
      """
  )

  @Argument(
    help: ArgumentHelp("The file or directory, whether it is still there or not.", valueName: "path"),
    completion: .file()
  )
  var path: String

  @Option(help: "Whose snapshots to look in (default: this host's).") var host: String?

  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let explorer = try Explorer(access.open(), purpose: "show versions")
    defer { explorer.close() }
    let (host, snapshots) = try explorer.snapshots(ofHost: host)
    let readers = snapshots.map { explorer.reader($0) }
    let (path, history) = try find(readers)
    if Termination.stop.isRaised { throw YesterError(.interrupted, "Interrupted") }
    guard history.runs.contains(where: { $0.node != nil }) else {
      throw YesterError(
        .failed,
        "No snapshot of the host \(host) holds \(printable(path))",
        advice: "Look for it with \"yester find\", or at another host's snapshots with --host."
      )
    }
    if output.json {
      Output.json(VersionHistoryDocument(history, of: path, host: host, in: readers))
    } else {
      printText(path, history, readers)
    }
  }

  /// Where symbolic links lead today may not be where they led then: when nothing is there, the path as it was given
  /// is tried as well.
  private func find(_ readers: [SnapshotReader]) throws -> ([UInt8], VersionHistory) {
    let resolved = Explorer.normal(try LivePath.resolve(path).pathBytes)
    let history = try VersionHistory(of: resolved, in: readers) { Termination.stop.isRaised }
    let given = Explorer.normal(path.pathBytes)
    if path.hasPrefix("/"), given != resolved, !history.runs.contains(where: { $0.node != nil }) {
      return (given, try VersionHistory(of: given, in: readers) { Termination.stop.isRaised })
    }
    return (resolved, history)
  }

  private func name(_ index: Int?, _ readers: [SnapshotReader]) -> String {
    index.map { readers[$0].snapshot.record.name } ?? ""
  }

  private func printText(_ path: [UInt8], _ history: VersionHistory, _ readers: [SnapshotReader]) {
    Output.line(EntryText.text([0x2F] + path))
    var rows = [["FIRST IN", "LAST IN", "SNAPSHOTS", "SIZE", "MODIFIED", "CONTENT"]]
    for run in history.runs {
      let cells = [name(run.readers.first, readers), name(run.readers.last, readers), "\(run.readers.count)"]
      guard let entry = run.node?.entry else {
        rows.append(cells + ["-", "-", "not there"])
        continue
      }
      rows.append(cells + [EntryText.size(entry), EntryText.time(entry.modified), content(entry)])
    }
    Output.table(rows, right: [2, 3])
  }

  private func content(_ entry: Entry) -> String {
    switch entry.body {
    case .file(let size, let content): size == 0 ? "empty" : content.digest?.hex ?? "no checksum"
    case .directory(let below, _): "directory with \(Output.count(below, "entry", "entries"))"
    case .symbolicLink(let target): "-> " + EntryText.text(target)
    default: entry.type.word
    }
  }
}
