internal import RepositoryFormat
internal import ArgumentParser
internal import Documents
internal import Glibc
internal import SnapshotTree
internal import Synchronization

struct ListingOptions: ParsableArguments {
  @Flag(
    name: [.customShort("v"), .customLong("verbose")],
    help: "List each entry as it is done; given twice (-vv), also those that needed nothing or are left out.")
  var verbose: Int

  func validate(_ output: OutputOptions) throws {
    guard verbose == 0 || !output.quiet else { throw ValidationError("--quiet and --verbose contradict each other.") }
  }

  /// Nil when nobody wants a list.
  func list(_ output: OutputOptions, prefix: [UInt8]) -> EntryList? {
    guard verbose > 0 else { return nil }
    return EntryList(isJSON: output.json, isComplete: verbose > 1, prefix: prefix)
  }
}

/// Lists entries as they are done, one a line: on stdout, or with `--json` as lines of JSON on stderr. A list that
/// nobody can be shown any more ends; the run goes on. For any thread.
final class EntryList: Sendable {
  private struct State {
    var text: [UInt8] = []
    var isClosed = false
  }
  private static let flushSize = 1 << 15
  private let isJSON: Bool
  private let isComplete: Bool
  /// What stands before each path.
  private let prefix: [UInt8]
  private let number: CInt
  /// Then each line comes at once, and nothing may upset it.
  private let isTerminal: Bool
  private let state = Mutex(State())

  init(isJSON: Bool, isComplete: Bool, prefix: [UInt8]) {
    self.isJSON = isJSON
    self.isComplete = isComplete
    self.prefix = prefix
    number = isJSON ? STDERR_FILENO : STDOUT_FILENO
    isTerminal = isatty(number) != 0
  }

  var listing: EntryListing { EntryListing(isComplete: isComplete) { self.add($0) } }

  private func add(_ event: EntryEvent) {
    let line = isJSON ? EntryEventDocument(event).text(indented: false) : text(event)
    let isDue = state.withLock { state in
      if !state.isClosed { state.text += line + [0x0A] }
      return isTerminal || state.text.count >= Self.flushSize
    }
    if isDue { flush() }
  }

  /// Writes what was gathered.
  func flush() {
    state.withLock { state in
      guard !state.text.isEmpty else { return }
      // Whoever cannot be told any more ends the list, not the run.
      if number == STDOUT_FILENO {
        state.isClosed = !StandardOutput.write(state.text)
      } else {
        Output.write(state.text, to: number)
      }
      state.text.removeAll(keepingCapacity: true)
    }
  }

  private func text(_ event: EntryEvent) -> [UInt8] {
    let word = EntryText.left(event.kind.rawValue, 10)
    var path = event.path.isEmpty && prefix.isEmpty ? [0x2E] : prefix + event.path
    if event.type == .directory, path != [0x2F] { path.append(0x2F) }
    return Array(word.utf8) + EntryText.name(path, forTerminal: isTerminal)
      + Array((event.reason.map { " (\($0))" } ?? "").utf8)
  }
}
