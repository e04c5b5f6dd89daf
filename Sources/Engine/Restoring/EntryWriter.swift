internal import Glibc
internal import Platform
internal import Reporting
internal import RepositoryFormat
internal import SnapshotTree

/// Makes single entries in a directory, and sets their metadata. One thread.
final class EntryWriter {
  private let content: FileContentReader
  private let progress: RunProgress
  private let losses: RestoreLosses

  init(_ content: FileContentReader, progress: RunProgress, losses: RestoreLosses) {
    self.content = content
    self.progress = progress
    self.losses = losses
  }

  /// Makes an entry, but no directory's content and no metadata. Nothing is at `name` yet.
  func make(_ entry: Entry, _ name: [UInt8], at directory: Descriptor) throws {
    switch entry.body {
    case .file(let size, let content): try makeFile(name, directory, size, content)
    case .directory: try FileSystem.makeDirectory(name, at: directory, mode: 0o700)
    case .symbolicLink(let target): try FileSystem.makeSymbolicLink(to: target, name, at: directory)
    case .fifo: try FileSystem.makeNode(name, at: directory, mode: S_IFIFO | 0o600)
    case .socket: try FileSystem.makeNode(name, at: directory, mode: S_IFSOCK | 0o600)
    case .characterDevice(let major, let minor):
      try FileSystem.makeNode(name, at: directory, mode: S_IFCHR | 0o600, major: major, minor: minor)
    case .blockDevice(let major, let minor):
      try FileSystem.makeNode(name, at: directory, mode: S_IFBLK | 0o600, major: major, minor: minor)
    }
  }

  private func makeFile(_ name: [UInt8], _ directory: Descriptor, _ size: UInt64, _ body: FileContent) throws {
    try fill(try open(name, directory), size, body)
  }

  private func open(_ name: [UInt8], _ directory: Descriptor) throws(Errno) -> Descriptor {
    try Descriptor.open(name, at: directory, O_WRONLY | O_CREAT | O_EXCL | Descriptor.noFollow, mode: 0o600)
  }

  private func fill(_ file: Descriptor, _ size: UInt64, _ body: FileContent) throws {
    var end: UInt64 = 0
    try content.forEachPiece(of: body, size: size, from: 0) { offset, piece in
      try progress.throwIfStopped()
      guard let chunk = piece.chunk else {
        progress.add(skippedBytes: piece.length)
        return true
      }
      let slice = try content.chunk(chunk, length: piece.length)
      try slice.withBytes { try file.write($0, at: Int64(offset)) }
      progress.add(bytes: piece.length)
      end = offset + piece.length
      return true
    }
    // Holes at the end are written by nobody.
    if end != size { try file.truncate(to: Int64(size)) }
  }

  /// Makes a file with all that belongs to it. When that fails nothing of it is left: half a file under its full name
  /// would pass for the whole.
  func makeWhole(_ entry: Entry, _ name: [UInt8], at directory: Descriptor, path: [UInt8]) throws {
    guard case .file(let size, let body) = entry.body else { preconditionFailure("only files are made as a whole") }
    let file = try open(name, directory)
    do {
      try fill(file, size, body)
    } catch {
      try? FileSystem.removeFile(name, at: directory)
      throw error
    }
    // The content is what counts: whatever fails from here on, the file stays.
    setMetadata(entry, file, path: path)
  }

  /// As the other, of a file that was just made: what it has already is not set.
  private func setMetadata(_ entry: Entry, _ file: Descriptor, path: [UInt8]) {
    let status = try? file.status()
    var reasons: [RestoreLosses.Kind: Errno] = [:]
    if status?.user != entry.owner.user || status?.group != entry.owner.group {
      trying(.owner, &reasons) { () throws(Errno) in
        try file.setOwner(user: entry.owner.user, group: entry.owner.group)
      }
    }
    let reading = try? ExtendedAttributes.readEach(file)
    let present = reading?.attributes ?? []
    for old in reading?.names ?? [] where !entry.attributes.contains(where: { $0.name == old }) {
      try? ExtendedAttributes.remove(old, file)
    }
    for attribute in entry.attributes where !present.contains(attribute) {
      trying(.attributes, &reasons) { () throws(Errno) in try ExtendedAttributes.set(attribute, file) }
    }
    trying(.permissions, &reasons) { () throws(Errno) in try file.setMode(entry.permissions) }
    trying(.times, &reasons) { () throws(Errno) in
      try file.setTimes(accessed: entry.modified, modified: entry.modified)
    }
    count(entry, try? file.status(), path, reasons)
  }

  /// File systems without owners, permissions or attributes refuse them, as do namespaces to which an owner is unknown.
  /// Everything else about the entry is set all the same.
  private func trying(
    _ kind: RestoreLosses.Kind, _ reasons: inout [RestoreLosses.Kind: Errno], _ set: () throws(Errno) -> Void
  ) {
    do throws(Errno) {
      try set()
    } catch {
      reasons[kind] = error
    }
  }

  /// What counts is what is there in the end: some file systems answer that all is well, and keep nothing of it.
  private func count(_ entry: Entry, _ status: FileStatus?, _ path: [UInt8], _ reasons: [RestoreLosses.Kind: Errno]) {
    if let reason = reasons[.attributes] { losses.add(.attributes, path, reason) }
    if let status { return losses.compare(entry, status, path, reasons) }
    for (kind, reason) in reasons where kind != .attributes { losses.add(kind, path, reason) }
  }

  /// Owner, attributes, mode and times, in the order in which they do not undo each other: changing the owner takes
  /// set-uid and capabilities away, an ACL changes the mode, and everything changes times.
  func setMetadata(_ entry: Entry, _ name: [UInt8], at directory: Descriptor, path: [UInt8]) {
    var reasons: [RestoreLosses.Kind: Errno] = [:]
    trying(.owner, &reasons) { () throws(Errno) in
      try FileSystem.setOwner(name, at: directory, user: entry.owner.user, group: entry.owner.group)
    }
    setAttributes(entry, name, directory, &reasons)
    if entry.type != .symbolicLink {
      trying(.permissions, &reasons) { () throws(Errno) in
        try FileSystem.setMode(name, at: directory, entry.permissions)
      }
    }
    trying(.times, &reasons) { () throws(Errno) in
      try FileSystem.setTimes(name, at: directory, accessed: entry.modified, modified: entry.modified)
    }
    count(entry, try? FileStatus(of: name, at: directory), path, reasons)
  }

  private func setAttributes(
    _ entry: Entry, _ name: [UInt8], _ directory: Descriptor, _ reasons: inout [RestoreLosses.Kind: Errno]
  ) {
    let reading = try? ExtendedAttributes.readEach(name, at: directory)
    let present = reading?.attributes ?? []
    for old in reading?.names ?? [] where !entry.attributes.contains(where: { $0.name == old }) {
      try? ExtendedAttributes.remove(old, name, at: directory)
    }
    for attribute in entry.attributes where !present.contains(attribute) {
      trying(.attributes, &reasons) { () throws(Errno) in
        try ExtendedAttributes.set(attribute, name, at: directory)
      }
    }
  }
}
