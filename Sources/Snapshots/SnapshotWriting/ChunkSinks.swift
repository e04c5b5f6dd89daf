internal import ChunkCodec
internal import RepositoryCore
internal import RepositoryFormat

/// Hands listings to the repository, and to the local copy as well. For the thread that made the writer of chunks.
final class RunSink: ChunkSink {
  private let chunks: ChunkWriter?
  private let recorder: LocalListings.Recorder?

  /// Without `chunks`, in a dry run, nothing is stored.
  init(_ chunks: ChunkWriter?, _ recorder: LocalListings.Recorder?) {
    self.chunks = chunks
    self.recorder = recorder
  }

  func add(_ id: ObjectID, kind: ChunkKind, _ bytes: UnsafeRawBufferPointer) throws {
    try chunks?.add(id, kind: kind, bytes)
    if kind == .tree { recorder?.add(id, bytes) }
  }

  func move(to position: UInt64) throws { try chunks?.move(to: position) }
  func setOwner(_ user: UInt32) throws { try chunks?.setOwner(user) }
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
  func setOwner(_ user: UInt32) {}
}
