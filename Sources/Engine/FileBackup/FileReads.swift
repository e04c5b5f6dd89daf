internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat

/// Files that one worker reads one after the other.
final class FileBatch: Sendable {
  private struct State {
    /// Each keeps its directory open; none once the batch was read, though its results may wait for long.
    var requests: [FileRequest]
    var results: [FileResult] = []
    var end: Result<Void, any Error>?
  }
  private let state: Monitor<State>

  init(_ requests: [FileRequest]) { state = Monitor(State(requests: requests)) }

  /// Reads them all; an error ends it for all that are left.
  func run(_ read: (FileRequest) throws -> FileResult) {
    let requests = state.withLock { state in
      defer { state.requests = [] }
      return state.requests
    }
    var results: [FileResult] = []
    results.reserveCapacity(requests.count)
    do {
      for request in requests { results.append(try read(request)) }
      state.update { [results] in $0 = State(requests: [], results: results, end: .success(())) }
    } catch { state.update { [results] in $0 = State(requests: [], results: results, end: .failure(error)) } }
  }

  var isDone: Bool { state.withLock { $0.end != nil } }

  /// What reading one of them gave. Waits for it; throws what ended the reading.
  func result(_ place: Int) throws -> FileResult {
    try state.wait { state -> Result<FileResult, any Error>? in
      if place < state.results.count { return .success(state.results[place]) }
      return state.end.map { end in end.map { preconditionFailure("a batch that ended well has all results") } }
    }.get()
  }
}

/// Has the writer's workers read files, some at a time: files that stand together are stored together.
final class FileReads {
  private static let batchMax = 32
  /// Directories of all batches, which stay open until those were read.
  private static let openDirectoriesMax = 256

  private let chunks: ChunkWriter
  private let recorder: LocalListings.Recorder?
  private let progress: RunProgress
  private let readers: Pool<SourceReader>
  /// Directories of a batch.
  private let directoriesMax: Int
  private var waiting: [FileRequest] = []
  private var directories = 0
  private var batch: PendingBatch = PendingBatch()

  /// Stands for a batch that is still being gathered.
  final class PendingBatch {
    fileprivate(set) var batch: FileBatch?
  }

  init(
    _ chunks: ChunkWriter, workers: Int, _ recorder: LocalListings.Recorder?, _ progress: RunProgress,
    readers: @escaping @Sendable () -> SourceReader
  ) {
    // Each worker has a batch, two more wait for it, and one is being gathered.
    directoriesMax = max(1, min(8, Self.openDirectoriesMax / (3 * workers + 1)))
    self.chunks = chunks
    self.recorder = recorder
    self.progress = progress
    self.readers = Pool(readers)
  }

  /// Takes on a file; where its result will be.
  func add(_ request: FileRequest) throws -> (batch: PendingBatch, place: Int) {
    if waiting.last?.directory !== request.directory {
      if directories == directoriesMax { try flush() }
      directories += 1
    }
    waiting.append(request)
    let place = (batch, waiting.count - 1)
    if waiting.count == Self.batchMax { try flush() }
    return place
  }

  /// Hands over what was gathered.
  func flush() throws {
    guard !waiting.isEmpty else { return }
    let files = FileBatch(waiting)
    batch.batch = files
    batch = PendingBatch()
    waiting.removeAll(keepingCapacity: true)
    directories = 0
    let readers = readers
    let recorder = recorder
    let progress = progress
    try chunks.submit { lane in
      let target = FileIngest.Target(lane: lane, sink: LaneSink(lane, recorder))
      readers.use { reader in
        files.run { request in
          // The walk may be through, with thousands of files still to be read.
          try progress.throwIfStopped()
          progress.setPath(request.path)
          try lane.move(to: request.position)
          return try reader.read(request, to: target)
        }
      }
    }
  }
}

/// Hands chunks to a worker's lane, and listings to the local copy as well.
final class LaneSink: ChunkSink {
  private let lane: ChunkLane
  private let recorder: LocalListings.Recorder?
  init(_ lane: ChunkLane, _ recorder: LocalListings.Recorder?) {
    self.lane = lane
    self.recorder = recorder
  }
  func add(_ id: ObjectID, kind: ChunkKind, _ bytes: UnsafeRawBufferPointer) throws {
    try lane.add(id, kind: kind, bytes)
    if kind == .tree { recorder?.add(id, bytes) }
  }
  /// The lane is told with each file.
  func move(to position: UInt64) {}
}
