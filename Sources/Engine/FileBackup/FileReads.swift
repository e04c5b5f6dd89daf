internal import Platform
internal import Reporting
internal import RepositoryCore
internal import SnapshotWriting

/// Has the writer's workers read files, some at a time: files that stand together are stored together.
final class FileReads {
  private static let batchMax = 32
  /// Directories of all batches, which stay open until those were read.
  private static let openDirectoriesMax = 256

  private let writer: SnapshotWriter
  private let readers: Pool<SourceReader>
  /// Directories of a batch.
  private let directoriesMax: Int
  private var waiting: [FileRequest] = []
  private var directories = 0
  private lazy var batch = makeBatch()

  init(_ writer: SnapshotWriter) {
    self.writer = writer
    // Each worker has a batch, two more wait for it, and one is being gathered.
    directoriesMax = max(1, min(8, Self.openDirectoriesMax / (3 * writer.workers + 1)))
    readers = Pool { [makeIngest = writer.makeIngest, links = writer.links] in SourceReader(makeIngest(), links) }
  }

  private func makeBatch() -> PendingBatch { PendingBatch { [unowned self] in try flush() } }

  /// Takes on a file; where its result will be.
  func add(_ request: FileRequest) throws -> (batch: PendingBatch, index: Int) {
    if waiting.last?.directory !== request.directory {
      if directories == directoriesMax { try flush() }
      directories += 1
    }
    waiting.append(request)
    let position = (batch, waiting.count - 1)
    if waiting.count == Self.batchMax { try flush() }
    return position
  }

  /// Hands over what was gathered.
  func flush() throws {
    guard !waiting.isEmpty else { return }
    let files = FileBatch()
    let requests = waiting
    batch.submitted(as: files)
    batch = makeBatch()
    waiting.removeAll(keepingCapacity: true)
    directories = 0
    let readers = readers
    let progress = writer.progress
    // The requests, each of which keeps its directory open, go with the work; results may wait for long.
    try writer.submit { target in
      readers.use { reader in
        files.run(count: requests.count) { number in
          let request = requests[number]
          // The walk may be through, with thousands of files still to be read.
          try progress.throwIfStopped()
          progress.setPath(request.path)
          try target.lane.move(to: request.position)
          return try reader.read(request, to: target)
        }
      }
    }
  }
}
