internal import Glibc
package import ObjectStores
internal import Platform
package import Reporting
package import RepositoryFormat
internal import Synchronization

/// Objects as files below a directory. An object is written under `tmp/`, synced, then given its name (`ObjectPlacing`):
/// a name never shows less than the whole object, and never changes what it shows. Leases alone are not synced.
package final class DirectoryStore: ObjectStore {
  package let location: String
  package var localPath: String? { location }
  package var capabilities: StoreCapabilities { [.exclusivePut, .unnamedUpload] }
  private let placing: ObjectPlacing
  private let openPacks = Mutex(OpenFiles())
  private let written = Atomic<Int>(0)

  /// `path` is absolute, so that a later change of the working directory does no harm.
  package convenience init(_ path: String) { self.init(path, startingWith: .link) }

  /// `way` is the best one that is tried to give objects their names, whatever the file system can do.
  init(_ path: String, startingWith way: ObjectPlacing.Way) {
    location = path
    placing = ObjectPlacing(path, startingWith: way)
  }

  /// Makes the folders of a new repository in `path`, which is not there or empty. Throws when the file system cannot
  /// keep a repository; `onLimitation` is called with a sentence for whatever it keeps less well than others do.
  package static func create(
    _ path: String, onLimitation: (String) -> Void = { _ in }
  ) throws(YesterError) -> DirectoryStore {
    var made: [String] = (try? FileStatus(of: path)) == nil ? [path] : []
    do throws(YesterError) {
      try makeFolders(in: path, &made)
      try FileSystemProbe.run(in: path + "/tmp", of: path, onLimitation: onLimitation)
      return DirectoryStore(try finishMaking(path))
    } catch {
      // Otherwise the next try would find something there.
      for folder in made.reversed() { try? FileSystem.removeDirectory(folder.pathBytes, at: nil) }
      throw error
    }
  }

  private static func makeFolders(in path: String, _ made: inout [String]) throws(YesterError) {
    do throws(Errno) {
      try Directory.makeAllDurably(path)
      let directory = try Descriptor.open(path, Descriptor.directoryFlags & ~Descriptor.noFollow)
      let names = try Directory.names(directory)
      guard names.isEmpty || names == [Array("lost+found".utf8)] else { throw .notEmpty }
      for folder in ObjectFolder.allCases.map(\.rawValue) + ["tmp"] {
        try FileSystem.makeDirectory(Array(folder.utf8), at: directory, mode: 0o700)
        made.append(path + "/" + folder)
      }
    } catch {
      guard error != .notEmpty else {
        throw YesterError(
          .failed, "\(path) is not empty", advice: "Choose a directory that does not exist yet or is empty.")
      }
      throw makingFailed(path, error)
    }
  }

  /// The path without symbolic links.
  private static func finishMaking(_ path: String) throws(YesterError) -> String {
    do throws(Errno) {
      try Directory.sync(path)
      guard let real = System.realPath(path) else { throw .notFound }
      // It may have been there, and not for long.
      try Directory.sync(above: real)
      return real
    } catch {
      throw makingFailed(path, error)
    }
  }

  private static func makingFailed(_ path: String, _ error: Errno) -> YesterError {
    .system("Making the repository in", path, error)
  }

  private func path(_ key: ObjectKey) -> String { location + "/" + key.path }

  package func size(_ key: ObjectKey) throws(YesterError) -> UInt64? {
    do throws(Errno) {
      return try FileStatus(of: path(key)).size
    } catch {
      try requireAbsence(error, "Looking for", key)
      return nil
    }
  }

  package func get(_ key: ObjectKey, limit: Int) throws(YesterError) -> [UInt8]? {
    do throws(Errno) {
      return try Descriptor.open(path(key)).readAll(limit: limit)
    } catch {
      guard error != .tooLarge else {
        throw YesterError(
          .damaged, "The object \(key) in \(location) is larger than such an object can be",
          advice: "Run \"yester verify\" to see what is affected.")
      }
      try requireAbsence(error, "Reading", key)
      return nil
    }
  }

  package func get(
    _ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(YesterError) -> Bool {
    let got: Int
    do throws(Errno) {
      got = try read(key, at: offset, into: buffer)
    } catch {
      try requireAbsence(error, "Reading", key)
      return false
    }
    guard got == buffer.count else {
      throw YesterError(
        .damaged, "The object \(key) in \(location) is cut off",
        advice: "Run \"yester verify\" to see what is affected.")
    }
    return true
  }

  private func read(
    _ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) -> Int {
    let (file, isReused) = try open(key)
    do throws(Errno) {
      return try file.read(into: buffer, at: Int64(offset))
    } catch {
      // The disk may have been away and come back: the name leads to it again, the old descriptor does not.
      guard isReused else { throw error }
      openPacks.withLock { $0.remove(key) }
      return try open(key).file.read(into: buffer, at: Int64(offset))
    }
  }

  private func open(_ key: ObjectKey) throws(Errno) -> (file: Descriptor, isReused: Bool) {
    guard key.isPack else { return (try Descriptor.open(path(key)), false) }
    if let known = openPacks.withLock({ $0.find(key) }) { return (known, true) }
    let file = try Descriptor.open(path(key))
    openPacks.withLock { $0.insert(key, file) }
    return (file, false)
  }

  package func put(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    // As in `beginUpload`.
    defer { openPacks.withLock { $0.remove(key) } }
    do throws(YesterError) {
      return try put(key, bytes, DirectoryUpload(location, placing))
    } catch {
      // By these space comes back.
      guard key.isCondemnedList || key.isSnapshot, let cause = error.cause, [.noSpace, .overQuota].contains(cause),
        reserve.giveUp()
      else { throw error }
    }
    return try put(key, bytes, DirectoryUpload(location, placing))
  }

  private var reserve: Reserve { Reserve(in: location) }

  package func putBriefly(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    try put(key, bytes, DirectoryUpload(location, placing, isDurable: false))
  }

  private func put(_ key: ObjectKey, _ bytes: [UInt8], _ upload: DirectoryUpload) throws(YesterError) -> Bool {
    do throws(YesterError) {
      try bytes.withBytes { (bytes) throws(YesterError) in try upload.append(bytes) }
    } catch {
      upload.cancel()
      throw error
    }
    return try upload.commit(as: key)
  }

  package func replace(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) {
    // Whoever is at work comes by here now and then.
    reserve.keep()
    let upload = try DirectoryUpload(location, placing)
    do throws(YesterError) {
      try bytes.withBytes { (bytes) throws(YesterError) in try upload.append(bytes) }
    } catch {
      upload.cancel()
      throw error
    }
    try upload.replace(key)
    openPacks.withLock { $0.remove(key) }
  }

  package func beginUpload() throws(YesterError) -> any ObjectUpload {
    // What a descriptor leads to may have been damaged, and replaced by this.
    try DirectoryUpload(location, placing, onCommit: { [self] key in openPacks.withLock { $0.remove(key) } }) {
      [self] count in
      written.add(count, ordering: .relaxed).newValue <= Self.cachedMax
    }
  }

  /// What one process writes and leaves in the page cache: a short run is read again soon, by a verification say, but a
  /// long one would push out what others need.
  private static let cachedMax = 1 << 30

  /// Without asking for each object's size, which is most of the cost of listing.
  package func ids(_ folder: ObjectFolder) throws(YesterError) -> [ObjectID] {
    guard folder != .packs else {
      var packs: [ObjectID] = []
      try list(folder) { name, _ in if let id = ObjectID(hex: name) { packs.append(id) } }
      return packs.sorted()
    }
    var ids: [ObjectID] = []
    try entries(of: folder.rawValue) { (directory) throws(Errno) in
      var doubtful: [[UInt8]] = []
      try Directory.forEachName(directory) { name, type in
        guard Self.isID(Array(name)) else { return }
        if type == UInt8(DT_REG) || type == UInt8(DT_LNK) {
          if let id = ObjectID(hex: String(decoding: name, as: UTF8.self)) { ids.append(id) }
        } else if type == UInt8(DT_UNKNOWN) {
          doubtful.append(Array(name))
        }
      }
      for name in doubtful {
        guard let status = try Self.statusIfThere(name, directory), Self.isObject(status) else { continue }
        if let id = ObjectID(hex: String(decoding: name, as: UTF8.self)) { ids.append(id) }
      }
    }
    return ids.sorted()
  }

  package func list(_ folder: ObjectFolder, _ body: (String, UInt64) throws(YesterError) -> Void) throws(YesterError) {
    try list(folder, below: "", body)
  }

  package func listCopies(
    of folder: ObjectFolder, _ body: (String, UInt64) throws(YesterError) -> Void
  ) throws(YesterError) {
    try list(folder, below: "copies/", body)
  }

  private func list(
    _ folder: ObjectFolder, below parent: String, _ body: (String, UInt64) throws(YesterError) -> Void
  ) throws(YesterError) {
    if folder == .packs {
      for byte in 0...255 {
        let prefix = Hex.encode([UInt8(byte)])
        try list(path: parent + "packs/" + prefix, body) { Self.isID($0) && $0.starts(with: prefix.utf8) }
      }
    } else {
      try list(path: parent + folder.rawValue, body) { Self.isName($0, in: folder) }
    }
  }

  private func list(
    path: String, _ body: (String, UInt64) throws(YesterError) -> Void, isName: ([UInt8]) -> Bool
  ) throws(YesterError) {
    var found: [(String, UInt64)] = []
    try entries(of: path) { (directory) throws(Errno) in
      for name in try Directory.names(directory) where isName(name) {
        guard let status = try Self.statusIfThere(name, directory), Self.isObject(status) else { continue }
        let target = status.isLink ? try Self.statusIfThere(name, directory, .following) : status
        found.append((String(decoding: name, as: UTF8.self), target?.size ?? 0))
      }
    }
    for (name, size) in found { try body(name, size) }
  }

  /// A link is an object that somebody has moved elsewhere.
  private static func isObject(_ status: FileStatus) -> Bool { status.isRegular || status.isLink }

  /// Nil only for what has gone away since its name was read: what cannot be looked at is there.
  private static func statusIfThere(
    _ name: [UInt8], _ directory: Descriptor, _ lookUp: FileStatus.LookUp = .theLinkItself
  ) throws(Errno) -> FileStatus? {
    do throws(Errno) {
      return try FileStatus(of: name, at: directory, lookUp)
    } catch {
      guard error == .notFound else { throw error }
      return nil
    }
  }

  /// Calls `body` with an open folder, unless there is none.
  private func entries(of path: String, _ body: (Descriptor) throws(Errno) -> Void) throws(YesterError) {
    let directory: Descriptor
    do throws(Errno) {
      directory = try Descriptor.open(location + "/" + path, Descriptor.directoryFlags & ~Descriptor.noFollow)
    } catch {
      // A copy of a repository may lack empty folders. Without its config it is no repository, but perhaps the empty
      // mount point of a disk that went away: that must not look like an empty one.
      let proofs = (path.hasPrefix("packs/") ? ["packs"] : []) + Self.proofs
      if error == .notFound, proofs.contains(where: { (try? FileStatus(of: location + "/" + $0)) != nil }) { return }
      throw failure("Listing", path, error)
    }
    do throws(Errno) {
      try body(directory)
    } catch {
      throw failure("Listing", path, error)
    }
  }

  private static func isHex(_ name: some Collection<UInt8>, _ count: Int) -> Bool {
    name.count == count && name.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
  }
  private static func isID(_ name: [UInt8]) -> Bool { isHex(name, 64) }
  private static func isName(_ name: [UInt8], in folder: ObjectFolder) -> Bool {
    switch folder {
    case .leases: isHex(name, 32)
    case .condemned, .epochs: isHex(name, 16)
    default: isID(name)
    }
  }

  package func delete(_ key: ObjectKey) throws(YesterError) {
    openPacks.withLock { $0.remove(key) }
    do throws(Errno) {
      try FileSystem.removeFile(path(key).pathBytes, at: nil)
    } catch {
      try requireAbsence(error, "Deleting", key)
    }
  }

  /// Of the file system, whoever else fills it.
  package func space() throws(YesterError) -> StoreSpace? {
    do throws(Errno) {
      let (total, available) = try Descriptor.open(location).fileSystemSpace()
      return StoreSpace(total: total, available: available)
    } catch {
      throw YesterError.system("Asking for the free space of", location, error)
    }
  }

  /// Those that nobody wrote to for a day.
  package func removeAbandonedUploads() throws(YesterError) {
    // By the clock that gives files their times: that of another machine may be wrong, and that of FAT is local.
    guard let new = try? DirectoryUpload(location, placing, isDurable: false) else { return }
    defer { new.cancel() }
    guard let now = try? new.modified(),
      let directory = try? Descriptor.open(location + "/tmp", Descriptor.directoryFlags),
      let names = try? Directory.names(directory)
    else { return }
    let limit = now.seconds - 86400
    for name in names {
      guard let status = try? FileStatus(of: name, at: directory), status.isRegular,
        status.modified.seconds < limit
      else { continue }
      try? FileSystem.removeFile(name, at: directory)
    }
  }

  /// Returns when the error says that the object is not there. An object may be absent; the repository itself may not.
  private func requireAbsence(_ error: Errno, _ doing: String, _ key: ObjectKey) throws(YesterError) {
    guard error == .notFound else { throw failure(doing, key.path, error) }
    // Without its config it is perhaps the empty mount point of a disk that went away.
    // Whether it is one is asked by looking for these.
    let proofs = [.config, .copy(of: .config)].contains(key) ? [""] : Self.proofs
    for proof in proofs {
      do throws(Errno) {
        _ = try FileStatus(of: location + "/" + proof)
        return
      } catch {
        guard error == .notFound else { throw failure(doing, key.path, error) }
      }
    }
    throw YesterError(
      .noRepository, "The repository \(location) is not there (any more)",
      advice: "Check that its disk is connected and mounted.", cause: .notFound)
  }

  /// A directory with one of these holds a repository.
  private static let proofs = [ObjectKey.config.path, ObjectKey.copy(of: .config).path]

  private func failure(_ doing: String, _ path: String, _ error: Errno) -> YesterError {
    YesterError.system("\(doing) \(path) in the repository", location, error)
  }
}

/// A bounded set of open pack files: opening one for every block would cost a path walk each. A snapshot after many
/// others has its files in a pack of each.
private struct OpenFiles {
  private static let limit = 256
  private var files: [ObjectKey: Descriptor] = [:]
  private var order: [ObjectKey] = []

  func find(_ key: ObjectKey) -> Descriptor? { files[key] }
  mutating func insert(_ key: ObjectKey, _ file: Descriptor) {
    if files.updateValue(file, forKey: key) == nil { order.append(key) }
    if order.count > Self.limit { files[order.removeFirst()] = nil }
  }
  mutating func remove(_ key: ObjectKey) {
    if files.removeValue(forKey: key) != nil { order.removeAll { $0 == key } }
  }
}

/// A file under `tmp/` that gets its name when it is whole.
private final class DirectoryUpload: ObjectUpload {
  private let root: String
  private let placing: ObjectPlacing
  private let temporary: String
  /// Nil once it was committed or cancelled: SMB renames no file that is open.
  private let file: Mutex<Descriptor?>
  private let isDurable: Bool
  private let onCommit: @Sendable (ObjectKey) -> Void
  private let staysCached: @Sendable (Int) -> Bool
  private let appended = Atomic<Int64>(0)
  /// After so many bytes the disk begins to write: with the last ones, most are there.
  private static let writingInterval: Int64 = 8 << 20

  /// Unless `isDurable`, nothing waits for the disk. `onCommit` is called when the object has its name; `staysCached`
  /// says whether so many bytes may stay in the page cache.
  init(
    _ root: String, _ placing: ObjectPlacing, isDurable: Bool = true,
    onCommit: @escaping @Sendable (ObjectKey) -> Void = { _ in },
    staysCached: @escaping @Sendable (Int) -> Bool = { _ in true }
  ) throws(YesterError) {
    self.root = root
    self.placing = placing
    self.onCommit = onCommit
    self.staysCached = staysCached
    self.isDurable = isDurable
    temporary = root + "/tmp/" + Hex.encode(System.random(16))
    do throws(Errno) {
      file = Mutex(try Self.open(temporary, root))
    } catch {
      throw YesterError.system("Writing to the repository", root, error)
    }
  }

  private static func open(_ path: String, _ root: String) throws(Errno) -> Descriptor {
    let flags = O_RDWR | O_CREAT | O_EXCL
    do {
      return try Descriptor.open(path, flags, mode: 0o600)
    } catch {
      guard error == .notFound, (try? FileStatus(of: root + "/packs"))?.isDirectory == true else { throw error }
      // A copy of a repository may lack the empty folder.
      try Directory.makeAll(root + "/tmp")
      return try Descriptor.open(path, flags, mode: 0o600)
    }
  }

  private func open() throws(Errno) -> Descriptor {
    guard let file = file.withLock({ $0 }) else { throw .badDescriptor }
    return file
  }

  func append(_ bytes: UnsafeRawBufferPointer) throws(YesterError) {
    let file: Descriptor
    do throws(Errno) {
      file = try open()
      try file.write(bytes)
    } catch {
      throw YesterError.system("Writing to the repository", root, error)
    }
    let (before, now) = appended.add(Int64(bytes.count), ordering: .relaxed)
    let (from, to) = (before / Self.writingInterval, now / Self.writingInterval)
    if isDurable, from < to {
      file.startWriting(offset: from * Self.writingInterval, length: (to - from) * Self.writingInterval)
    }
  }

  func commit(as key: ObjectKey) throws(YesterError) -> Bool {
    defer { cancel() }
    do throws(Errno) {
      try finishWriting()
      defer { onCommit(key) }
      return try placing.place(temporary, as: key, isDurable: isDurable)
    } catch {
      throw YesterError.system("Storing \(key) in the repository", root, error)
    }
  }

  func replace(_ key: ObjectKey) throws(YesterError) {
    defer { cancel() }
    do throws(Errno) {
      try finishWriting()
      try placing.replace(key, by: temporary)
    } catch {
      throw YesterError.system("Storing \(key) in the repository", root, error)
    }
  }

  private func finishWriting() throws(Errno) {
    let file = try open()
    if isDurable { try ObjectPlacing.sync(file: file) }
    if !staysCached(Int(clamping: try file.status().size)) { file.adviseDontNeed(offset: 0, length: 0) }
    self.file.withLock { $0 = nil }
  }

  func modified() throws(Errno) -> Timestamp { try open().status().modified }

  func cancel() {
    // SMB removes no file that is open either.
    file.withLock { $0 = nil }
    try? FileSystem.removeFile(temporary.pathBytes, at: nil)
  }
}
