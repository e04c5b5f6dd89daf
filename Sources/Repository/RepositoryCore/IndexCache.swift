package import ChunkCodec
internal import Glibc
package import ObjectStores
internal import Platform
internal import Reporting
package import RepositoryFormat

/// The opened bodies of index segments, as files in the local cache. All of it can be made anew from the
/// repository; whatever looks wrong is thrown away and made anew.
package struct IndexCache: Sendable {
  private let directory: String
  private let store: any ObjectStore
  private let keyring: Keyring

  package init(store: any ObjectStore, keyring: Keyring, cacheDirectory: String) {
    self.store = store
    self.keyring = keyring
    directory = cacheDirectory + "/index"
  }

  /// The segment, from the cache or the repository; nil when the repository has no such object.
  package func segment(_ id: ObjectID) throws -> IndexSegment? {
    let path = directory + "/" + id.hex
    if let file = try? MappedFile(path), let segment = try? IndexSegment(id: id, file: file) { return segment }
    guard let size = try store.size(.index(id)) else { return nil }
    let file: MappedFile
    // Another run may have replaced it just now.
    do { file = try materialize(id, size: size, path) } catch is Vanished { return nil }
    do { return try IndexSegment(id: id, file: file) } catch {
      throw YesterError.damaged("The index segment \(id.short)", error)
    }
  }

  private struct Vanished: Error {}

  /// Opens the object into a file. Without a writable cache the file has no name and lives as long as it is mapped.
  private func materialize(_ id: ObjectID, size: UInt64, _ path: String) throws -> MappedFile {
    try? Directory.makeAll(directory)
    let temporary = path + "." + Hex.encode(System.random(4))
    do { return try materialize(id, size: size, at: temporary, keepingAs: path) } catch is Errno {
      // The cache is full or not ours to write: what follows takes its place for this run.
    }
    let fallback = "/tmp/.yester-" + Hex.encode(System.random(16))
    do { return try materialize(id, size: size, at: fallback, keepingAs: nil) } catch let error as Errno {
      throw YesterError.system("Writing the local index cache", directory, error)
    }
  }

  private func materialize(_ id: ObjectID, size: UInt64, at name: String, keepingAs path: String?) throws -> MappedFile
  {
    let out = try Descriptor.open(name, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
    defer { try? FileSystem.removeFile(name.pathBytes, at: nil) }
    try open(id, size: size, into: out)
    let mapped = try MappedFile(name)
    if let path { try? FileSystem.rename(name.pathBytes, at: nil, to: path.pathBytes, at: nil) }
    return mapped
  }

  private func open(_ id: ObjectID, size: UInt64, into out: Descriptor) throws {
    var offset: UInt64 = 0
    let hash = SHA256()
    func read(_ count: Int) throws -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: Int(min(UInt64(count), size - offset)))
      if bytes.isEmpty { return [] }
      guard try bytes.withUnsafeMutableBytes({ try store.get(.index(id), at: offset, into: $0) }) else {
        throw Vanished()
      }
      offset += UInt64(bytes.count)
      bytes.withUnsafeBytes { hash.update($0) }
      return bytes
    }
    try IndexOpener.open(
      keyring, read: { (count: Int) throws(any Error) in try read(count) },
      emit: { (frame: [UInt8]) throws(any Error) in try out.write(frame) },
      damaged: { YesterError.damaged("The index segment \(id.short)", $0) })
    guard ObjectID(nameOf: hash.finish()) == id else {
      throw YesterError.damaged("The index segment \(id.short)", FormatError("its bytes do not fit its name"))
    }
  }

  /// Throws away cached segments that the repository no longer has.
  package func keepOnly(_ ids: Set<ObjectID>) {
    guard let folder = try? Descriptor.open(directory, Descriptor.directoryFlags),
      let names = try? Directory.names(folder)
    else { return }
    for name in names {
      let text = String(decoding: name, as: UTF8.self)
      if let id = ObjectID(hex: text), ids.contains(id) { continue }
      // Temporary files of a running yester are young; those of a crashed one stay until they are old.
      if text.utf8.count != 64, let status = try? FileStatus(of: name, at: folder),
        status.modified.seconds > Timestamp.now().seconds - 3600
      {
        continue
      }
      try? FileSystem.removeFile(name, at: folder)
    }
  }

  /// Throws some of it away.
  package func remove(_ ids: [ObjectID]) {
    for id in ids { try? FileSystem.removeFile((directory + "/" + id.hex).pathBytes, at: nil) }
  }

  /// Throws everything away: the next look makes it anew.
  package func clear() { keepOnly([]) }
}
