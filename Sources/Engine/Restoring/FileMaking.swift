internal import Platform
internal import Reporting
internal import RepositoryFormat
internal import SnapshotTree

/// A file that is to be made. Nothing is at its name yet.
struct FileTask: Sendable {
  let entry: Entry
  let name: [UInt8]
  let directory: Descriptor
  /// Relative to the destination.
  let path: [UInt8]
}

/// Something that went wrong with one path.
struct PathFailure: Sendable {
  let task: FileTask
  let error: any Error
}

/// Files that one thread makes one after the other: as many as share a block, about.
final class FileMakingBatch: Sendable {
  struct Outcome: Sendable {
    var failures: [PathFailure] = []
    /// What was made, when somebody wants to know.
    var made: [EntryEvent] = []
  }
  private struct State {
    var tasks: [FileTask] = []
    var outcome: Outcome?
  }
  private let state = Monitor(State())

  fileprivate init() {}

  fileprivate func add(_ task: FileTask) -> Int {
    state.withLock {
      $0.tasks.append(task)
      return $0.tasks.count
    }
  }

  fileprivate func run(
    _ content: FileContentReader, _ progress: RunProgress, _ losses: RestoreLosses, lists: Bool
  ) {
    var out = Outcome()
    let writer = EntryWriter(content, progress: progress, losses: losses)
    for task in state.withLock({ $0.tasks }) {
      do {
        try progress.throwIfStopped()
        progress.setPath(task.path)
        defer { progress.add(entries: 1) }
        try writer.makeWhole(task.entry, task.name, at: task.directory, path: task.path)
        if lists { out.made.append(EntryEvent(.created, task.path, task.entry)) }
      } catch {
        out.failures.append(PathFailure(task: task, error: error))
      }
    }
    state.update { [out] in $0 = State(outcome: out) }
  }

  var isDone: Bool { state.withLock { $0.outcome != nil } }
  func wait() -> Outcome { state.wait { $0.outcome } }
}

/// Threads that make files.
final class FileMaking {
  private static let filesMax = 64
  private static let bytesMax: UInt64 = 1 << 20
  /// Directories of a batch, which stay open until it is made.
  private static let directoriesMax = 8

  private let queue: BoundedQueue<FileMakingBatch>
  private let threads: [Worker]
  private var batch: FileMakingBatch?
  private var bytes: UInt64 = 0
  private var directories = 0
  private var directory: Descriptor?

  /// With `lists` the batches say what was made. Throws when there is no room for the threads.
  init(
    _ content: FileContentReader, progress: RunProgress, losses: RestoreLosses, lists: Bool
  ) throws(YesterError) {
    let count = System.processorCount
    let queue = BoundedQueue<FileMakingBatch>(limit: 2 * count)
    self.queue = queue
    threads = try Worker.team("yester-make", count: count, end: { queue.close() }) { _ in
      while let batch = queue.take() { batch.run(content, progress, losses, lists: lists) }
    }
  }

  /// Takes a file on; the batch that it is in when it is the first of it.
  func add(_ task: FileTask) -> FileMakingBatch? {
    if directory !== task.directory {
      if directories == Self.directoriesMax { flush() }
      directories += 1
      directory = task.directory
    }
    let isFirst = batch == nil
    let batch = batch ?? FileMakingBatch()
    self.batch = batch
    bytes += task.entry.size
    if batch.add(task) >= Self.filesMax || bytes >= Self.bytesMax { flush() }
    return isFirst ? batch : nil
  }

  /// Hands over what was gathered. Waits while much is waiting already.
  func flush() {
    guard let batch else { return }
    self.batch = nil
    bytes = 0
    directories = 0
    directory = nil
    queue.put(batch)
  }

  /// Ends the threads when they have made what they were given.
  func close() {
    queue.close()
    for thread in threads { thread.join() }
  }
}
