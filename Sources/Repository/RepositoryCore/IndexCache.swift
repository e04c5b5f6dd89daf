package import ChunkCodec
internal import Glibc
package import ObjectStores
internal import Platform
package import Reporting
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

  /// The segment, from the cache or the repository; nil when the repository has no such object. With `isFresh` it is
  /// read from the repository whatever the cache holds: not every copy that is to go can be deleted.
  package func segment(_ id: ObjectID, isFresh: Bool = false) throws(YesterError) -> IndexSegment? {
    let path = directory + "/" + id.hex
    if !isFresh, let segment = cached(id, path) { return segment }
    guard let size = try store.size(.index(id)) else { return nil }
    do throws(YesterError) {
      // Another run may have replaced it just now.
      return try segment(id, size: size, path, get: store.get)
    } catch {
      // In a header that is damaged the version or the key set may look like another one.
      guard error.isDamage || error.cause == nil, let healing = store.healing,
        let size = try healing.originalSize(.index(id))
      else {
        throw error
      }
      return try segment(id, size: size, path, get: healing.read)
    }
  }

  /// Nil also for a copy that looks wrong: the next one is made anew.
  private func cached(_ id: ObjectID, _ path: String) -> IndexSegment? {
    guard let file = try? MappedFile(path) else { return nil }
    return try? IndexSegment(id: id, file: file)
  }

  /// Fills a buffer from an offset; false when the object is not there.
  private typealias Get = (ObjectKey, UInt64, UnsafeMutableRawBufferPointer) throws(YesterError) -> Bool

  /// The opened segment; nil when it vanished meanwhile.
  private func segment(
    _ id: ObjectID, size: UInt64, _ path: String, get: Get
  ) throws(YesterError) -> IndexSegment? {
    do throws(Failure) {
      return try materialize(id, size: size, path, get)
    } catch {
      switch error {
      case .vanished: return nil
      case .cache(let error): throw .system("Writing the local index cache", directory, error)
      case .repository(let error): throw error
      }
    }
  }

  /// Why a segment did not come into a file.
  private enum Failure: Error {
    case vanished
    case cache(Errno)
    case repository(YesterError)
  }

  /// Opens the object into a file. Without a writable cache the file has no name and lives as long as it is mapped.
  private func materialize(
    _ id: ObjectID, size: UInt64, _ path: String, _ get: Get
  ) throws(Failure) -> IndexSegment {
    try? Directory.makeAll(directory)
    let temporary = path + "." + Hex.encode(System.random(4))
    do throws(Failure) {
      return try materialize(id, size: size, at: temporary, keepingAs: path, get)
    } catch {
      // The cache is full or not ours to write: what follows takes its place for this run.
      guard case .cache = error else { throw error }
    }
    let fallback = "/tmp/.yester-" + Hex.encode(System.random(16))
    return try materialize(id, size: size, at: fallback, keepingAs: nil, get)
  }

  private func materialize(
    _ id: ObjectID, size: UInt64, at name: String, keepingAs path: String?, _ get: Get
  ) throws(Failure) -> IndexSegment {
    let out = try inCache { () throws(Errno) in
      try Descriptor.open(name, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
    }
    defer { try? FileSystem.removeFile(name.pathBytes, at: nil) }
    let writer = try open(id, size: size, into: out, get)
    let mapped = try inCache { () throws(Errno) in try MappedFile(name) }
    let segment: IndexSegment
    do throws(FormatError) {
      segment = try IndexSegment(id: id, file: mapped)
      guard segment.writer == writer else { throw FormatError("it contradicts itself about its writer") }
    } catch {
      throw damaged(id, error)
    }
    if let path { try? FileSystem.rename(name.pathBytes, at: nil, to: path.pathBytes, at: nil) }
    return segment
  }

  private func damaged(_ id: ObjectID, _ error: FormatError) -> Failure {
    .repository(.damaged("The index segment \(id.short)", error))
  }

  private func inCache<Value>(_ body: () throws(Errno) -> Value) throws(Failure) -> Value {
    do throws(Errno) {
      return try body()
    } catch {
      throw .cache(error)
    }
  }

  /// Opens the object into `out` and checks its name and its writer's signature; the writer's public key.
  private func open(_ id: ObjectID, size: UInt64, into out: Descriptor, _ get: Get) throws(Failure) -> [UInt8] {
    guard let content = store.protection.contentSize(ofObject: size),
      content >= UInt64(IndexLayout.segmentHeaderSize + AESGCM.tagSize + IndexLayout.signatureSize)
    else {
      throw damaged(id, FormatError("it is cut off"))
    }
    let signed = content - UInt64(IndexLayout.signatureSize)
    var offset: UInt64 = 0
    // The parity that follows is part of what the name stands for, and is made from the rest.
    let naming = ObjectNaming(store.protection)
    func read(_ count: Int, upTo end: UInt64) throws(Failure) -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: Int(min(UInt64(count), end - offset)))
      if bytes.isEmpty { return [] }
      let isThere: Bool
      do throws(YesterError) {
        isThere = try bytes.withMutableBytes { (room) throws(YesterError) in
          try get(.index(id), offset, room)
        }
      } catch {
        throw .repository(error)
      }
      guard isThere else { throw .vanished }
      offset += UInt64(bytes.count)
      bytes.withUnsafeBytes { naming.append($0) }
      return bytes
    }
    let writer = try IndexOpener.open(
      keyring, read: { (count) throws(Failure) in try read(count, upTo: signed) },
      emit: { (frame) throws(Failure) in try inCache { () throws(Errno) in try out.write(frame) } },
      damaged: { damaged(id, $0) })
    let digest = naming.soFar()
    let signature = try read(IndexLayout.signatureSize, upTo: content)
    guard naming.finish().id == id else {
      throw damaged(id, FormatError("its bytes do not fit its name"))
    }
    guard IndexSignature.isValid(signature, of: digest, by: writer) else {
      throw damaged(id, FormatError("its signature is wrong: it is forged"))
    }
    return writer
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

  /// Throws everything away: the next look makes it anew.
  package func clear() { keepOnly([]) }
}
