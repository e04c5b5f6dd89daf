internal import Platform
package import Reporting
package import RepositoryFormat

/// What reading a file has given.
package struct FileResult: Sendable {
  package enum Outcome: Sendable {
    case entry(Entry)
    /// The file has several names; the link table has what is known of it, or soon will.
    case linked(LinkReference)
    /// It is not there, or cannot be stored; the problems say why.
    case none
  }
  package var outcome = Outcome.none
  package var problems: [PathProblem] = []

  package init() {}
}

/// What comes of files that one worker reads one after the other. For any thread.
package final class FileBatch: Sendable {
  private struct State {
    var results: [FileResult] = []
    var end: Result<Void, any Error>?
  }
  private let state = Monitor(State())

  package init() {}

  /// Calls `read` with each number below `count`; an error ends it for all that are left. By the worker, and once.
  package func run(count: Int, _ read: (Int) throws -> FileResult) {
    var results: [FileResult] = []
    results.reserveCapacity(count)
    do {
      for number in 0..<count { results.append(try read(number)) }
      state.update { [results] in $0 = State(results: results, end: .success(())) }
    } catch {
      state.update { [results] in $0 = State(results: results, end: .failure(error)) }
    }
  }

  package var isDone: Bool { state.withLock { $0.end != nil } }

  /// What reading one of them gave. Waits for it; throws what ended the reading.
  package func result(_ number: Int) throws -> FileResult {
    try state.wait { state -> Result<FileResult, any Error>? in
      if number < state.results.count { return .success(state.results[number]) }
      return state.end.map { end in end.map { preconditionFailure("a batch that ended well has all results") } }
    }.get()
  }
}

/// Stands for a batch that may still be gathered. For the thread that tells the builder of files.
package final class PendingBatch {
  /// Nil until a worker has it.
  package private(set) var batch: FileBatch?
  private let handOver: () throws -> Void

  /// `handOver` is called when somebody waits for a batch that no worker has yet; it leads to `submitted`.
  package init(handOver: @escaping () throws -> Void) { self.handOver = handOver }

  package func submitted(as batch: FileBatch) { self.batch = batch }

  /// The batch, which a worker has from now on at the latest. Throws when it could not be handed over.
  func requireBatch() throws -> FileBatch {
    if batch == nil { try handOver() }
    guard let batch else { preconditionFailure("the batch was handed over") }
    return batch
  }
}
