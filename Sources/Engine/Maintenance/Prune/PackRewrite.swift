internal import ChunkCodec
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat

/// Which packs are worth being rewritten without what nobody needs of them.
enum RewriteChoice {
  /// Packs below this size are gathered into larger ones when there are many of them.
  private static let smallPackSize: UInt64 = 4 << 20
  private static let smallPacksMax = 24

  /// The packs with the largest unneeded share first, until the rest is within the limit; and many small packs.
  static func packs(among live: [UsageMap.PackUse], unusedMax: Double) -> [ObjectID] {
    var unused = live.reduce(0) { $0 + $1.unused }
    let allowed = UInt64(Double(live.reduce(0) { $0 + $1.total }) * unusedMax)
    var out: [ObjectID] = []
    for use in live.sorted(by: { Double($0.used) / Double($0.total) < Double($1.used) / Double($1.total) })
    where unused > allowed && use.unused * 10 > use.total {
      unused -= use.unused
      out.append(use.pack.id)
    }
    for kind in [ChunkKind.data, .tree] {
      let small = live.filter { $0.pack.kind == kind && $0.pack.size < smallPackSize && !out.contains($0.pack.id) }
      if small.count > smallPacksMax { out += small.map(\.pack.id) }
    }
    return out
  }
}

/// Copies what is needed out of packs into new ones; every chunk is verified against its id on the way.
struct PackRewrite {
  private let repository: Repository
  private let usage: UsageMap
  private let progress: RunProgress

  init(_ repository: Repository, _ usage: UsageMap, _ progress: RunProgress) {
    self.repository = repository
    self.usage = usage
    self.progress = progress
  }

  /// A chunk may lie in two packs of which the marking chose one. The other one, among `dead`, may go in this very run,
  /// so that nothing that is copied may rely on it.
  func run(_ packs: [ObjectID], avoiding dead: [ObjectID]) throws {
    repository.index.avoid(packs + dead)
    let writer = try ChunkWriter(repository)
    defer { writer.close() }
    var wanted = Set(packs)
    for segment in repository.index.current.segments {
      for index in 0..<segment.packCount {
        let pack = try segment.pack(index)
        guard wanted.remove(pack.id) != nil else { continue }
        try copy(pack.id, into: writer)
      }
    }
    try writer.flush()
  }

  private func copy(_ pack: ObjectID, into writer: ChunkWriter) throws {
    let file = try PackFile(repository, pack)
    let kind = file.key.key.kind
    var known: Set<ObjectID> = []
    for block in file.blocks {
      try progress.throwIfStopped()
      let needed = try block.chunks.filter { try known.insert($0.id).inserted && usage.isUsed($0.id) }
      guard !needed.isEmpty else { continue }
      let wanted = Set(needed.map(\.id))
      var copied: Set<ObjectID> = []
      let plain = try orDamage { () throws(YesterError) in
        try repository.reader.load(pack, block.location, file.key.key)
      }
      if let plain {
        try block.forEachChunk(in: plain) { chunk, bytes in
          guard wanted.contains(chunk.id), !copied.contains(chunk.id),
            repository.reader.identify(bytes, kind: kind, file.key.keySet.id) == chunk.id
          else { return }
          try writer.add(chunk.id, kind: kind, bytes)
          copied.insert(chunk.id)
          progress.add(bytes: UInt64(chunk.length))
        }
      }
      // What is damaged here, or was garbage from the beginning, may be sound elsewhere; if not, nothing may go.
      for chunk in needed where !copied.contains(chunk.id) {
        let slice = try repository.reader.chunk(chunk.id, kind: kind)
        _ = try slice.withBytes { try writer.add(chunk.id, kind: kind, $0) }
      }
      // A small block was kept apart from the next one for a reason.
      let settings = ChunkWriter.Settings()
      let full = kind == .data ? settings.dataBlockSize : settings.treeBlockSize
      if block.location.plainLength < full / 2 { try writer.separate() }
    }
  }

  /// Nil for what is damaged.
  private func orDamage<Value>(_ body: () throws(YesterError) -> Value) throws(YesterError) -> Value? {
    do throws(YesterError) {
      return try body()
    } catch {
      guard error.code == .damaged else { throw error }
      return nil
    }
  }
}
