internal import SnapshotTree
internal import Glibc
internal import LocalFiles
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat

/// A file that lies nowhere, and whose content comes through a stream: all that its snapshot holds.
package struct StreamedFile: Sendable {
  /// Where it lies in the snapshot, without the slash in front.
  package let path: [UInt8]
  package let stream: any ByteStream

  /// `name` is its path in the snapshot, from the root, with or without a slash in front.
  package init(name: String, _ stream: any ByteStream) throws {
    let parts = name.pathBytes.split(separator: 0x2F)
    let isGood = parts.allSatisfy { part in part.withUnsafeBytes { isValidName($0) } }
    guard !parts.isEmpty, isGood, name.pathBytes.last != 0x2F, parts.count < Limits.treeDepthMax else {
      throw YesterError(
        .usage, "\"\(name)\" cannot be the name of a file in a snapshot", advice: "Use one such as dump.sql.")
    }
    path = Array(parts.joined(separator: [0x2F]))
    self.stream = stream
  }
}

/// Builds the tree of a snapshot that holds one streamed file. One thread; a worker of the writer's reads.
struct StreamedTree {
  let file: StreamedFile
  let builder: TreeBuilder
  let base: BaseTree?
  private var maker = EntryMaker()

  init(_ file: StreamedFile, _ builder: TreeBuilder, base: BaseTree?) {
    self.file = file
    self.builder = builder
    self.base = base
  }

  /// The entry of the root, when the stream has come to a good end. `ingest` is made by the worker.
  mutating func run(
    _ chunks: ChunkWriter, _ recorder: LocalListings.Recorder?, ingest: @escaping @Sendable () -> FileIngest
  ) throws -> Entry {
    let stream = file.stream
    defer { stream.cancel() }
    try stream.start()
    let content = try read(chunks, recorder, ingest)
    try stream.finish()
    guard content.size > 0 else {
      throw YesterError(
        .failed, "Nothing came to be stored as \(printable(file.path))",
        advice: "No snapshot was made: an empty stream mostly comes from a command that has failed.")
    }
    return try build(content)
  }

  private func read(
    _ chunks: ChunkWriter, _ recorder: LocalListings.Recorder?, _ ingest: @escaping @Sendable () -> FileIngest
  ) throws -> FileIngest.Result {
    let stream = file.stream
    let outcome = Monitor<Result<FileIngest.Result, any Error>?>(nil)
    try chunks.submit { lane in
      let result = Result {
        try ingest().store(stream, to: FileIngest.Target(lane: lane, sink: LaneSink(lane, recorder)))
      }
      outcome.update { $0 = result }
    }
    return try outcome.wait { $0 }.get()
  }

  /// The way to the file, and the file.
  private mutating func build(_ content: FileIngest.Result) throws -> Entry {
    let now = Timestamp.now()
    let parts = file.path.split(separator: 0x2F).map { Array($0) }
    var above = base?.reader.root
    try builder.take(.enter(directory([], path: [0x2F], now), base: above))
    var path: [UInt8] = []
    for name in parts.dropLast() {
      path += [0x2F] + name
      above = base?.child(name, of: above)
      try builder.take(.enter(directory(name, path: path, now), base: above))
    }
    let name = parts[parts.count - 1]
    let entry = Entry(
      name: name, permissions: 0o600, owner: owner, modified: now, changed: now, born: nil, linkCount: 1,
      sourceInode: 0, body: .file(size: content.size, content: content.content))
    try builder.take(.entry(entry, base: base?.child(name, of: above)))
    for _ in parts { try builder.take(.leave(isIncomplete: false)) }
    return try builder.finish()
  }

  /// A directory on the way: as it is on this machine, if it is there.
  private mutating func directory(_ name: [UInt8], path: [UInt8], _ now: Timestamp) -> Entry {
    let body = EntryBody.directory(below: 0, listing: .zero)
    var entry: Entry
    if let status = try? FileStatus(of: path), status.isDirectory {
      entry = maker.entry(name, status, body, attributes: [])
    } else {
      entry = Entry(
        name: name, permissions: 0o755, owner: owner, modified: now, changed: now, born: nil, linkCount: 2,
        sourceInode: 0, body: body)
    }
    entry.isPartial = true
    return entry
  }

  private var owner: Owner {
    let (user, group) = (geteuid(), getegid())
    return Owner(
      user: user, group: group, userName: System.userName(user), groupName: System.groupName(group))
  }
}
