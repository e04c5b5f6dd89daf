internal import ArgumentParser
internal import Exploring
internal import Glibc
internal import Platform
internal import Reporting
internal import SnapshotTree
internal import Workflows

struct CatCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cat",
    abstract: "Write the content of files in snapshots to standard output.",
    discussion: """
      Several files come one behind the other. Symbolic links are followed inside of the snapshot, and holes are \
      written as zeros. When one of the files is not there, nothing is written. Content that is damaged ends it, with \
      the exit status 13 and the byte from which on it is missing.
      """)

  @Argument(help: ArgumentHelp("A file in a snapshot, such as latest:/etc/hosts.", valueName: "snapshot:path"))
  var paths: [String]
  @Option(help: "Whose snapshot (default: this host's, then any).") var host: String?
  @OptionGroup var access: AccessOptions

  func run() throws {
    let selectors = paths.map { SnapshotSelector($0) }
    for (path, selector) in zip(paths, selectors) where selector.path.isEmpty {
      throw YesterError(
        .usage, "\"\(path)\" names no file", advice: "Name one behind a colon, as in latest:/etc/hosts.")
    }
    // Nothing is read twice: the memory for opened blocks is of little use.
    let explorer = try Explorer(access.open(cacheSize: 16 << 20), purpose: "show files")
    defer { explorer.close() }
    let files = try selectors.map { selector in
      let snapshot = try selector.find(in: explorer.catalog, host: host)
      HostNotice.tell(selector, snapshot, explorer.catalog, host: host)
      return try SnapshotFile(explorer, explorer.reader(snapshot), selector.path)
    }
    for file in files {
      do {
        try file.write(to: Self.write)
      } catch is ReaderGone {
        return
      }
    }
  }

  /// Whoever read it has gone away.
  private struct ReaderGone: Error {}

  private static func write(_ bytes: UnsafeRawBufferPointer) throws {
    var done = 0
    while done < bytes.count {
      if Termination.stop.isRaised { throw YesterError(.interrupted, "Interrupted") }
      let put = Glibc.write(1, bytes.baseAddress.map { $0 + done }, bytes.count - done)
      if put < 0 {
        if errno == EINTR { continue }
        if errno == EPIPE { throw ReaderGone() }
        throw YesterError(.failed, "Writing the content failed: \(Errno.current)", cause: .current)
      }
      done += put
    }
  }
}
