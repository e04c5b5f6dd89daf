internal import Glibc
internal import LocalFiles
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat
internal import SnapshotWriting

/// A file that is to be read.
struct FileRequest: Sendable {
  let name: [UInt8]
  let directory: Descriptor
  /// Without the slash in front.
  let path: [UInt8]
  /// Which entry of the walk it is.
  let position: UInt64
}

/// Reads files and all that belongs to them. One thread at a time.
final class SourceReader {
  /// A file whose times are older than this was not being written a moment ago.
  private static let settledSeconds: Int64 = 2

  private let ingest: FileIngest?
  private let links: LinkTable
  private var maker = EntryMaker()

  /// Without `ingest` nothing is read but metadata.
  init(_ ingest: FileIngest?, _ links: LinkTable) {
    self.ingest = ingest
    self.links = links
  }

  /// Opens without changing the access time where that is allowed.
  static func open(_ name: [UInt8], _ directory: Descriptor, _ flags: CInt) throws(Errno) -> Descriptor {
    do {
      return try Descriptor.open(name, at: directory, flags | Descriptor.noAccessTime)
    } catch {
      guard error == .notPermitted else { throw error }
      return try Descriptor.open(name, at: directory, flags)
    }
  }

  /// Reads one file. Throws what ends the run: `Stopped`, and `YesterError` when storing fails.
  func read(_ request: FileRequest, to target: FileIngest.Target?) throws -> FileResult {
    var result = FileResult()
    do {
      // Should a FIFO have taken the file's place, opening must not wait for its other end.
      let file = try Self.open(request.name, request.directory, O_RDONLY | O_NONBLOCK | Descriptor.noFollow)
      let status = try file.status()
      guard status.isRegular else {
        result.problems.append(
          PathProblem(.changed, request.path, "it was replaced by something that is no file"))
        return result
      }
      guard status.linkCount > 1 else {
        result.outcome = .entry(try read(file, status, request, target, &result.problems))
        return result
      }
      let (reference, isMine) = links.claim(LinkedFile(status))
      result.outcome = .linked(reference)
      if isMine {
        var entry: Entry?
        defer { links.finish(reference, entry) }
        entry = try read(file, status, request, target, &result.problems)
      } else {
        ingest?.pass(size: status.size)
      }
    } catch let error as Errno {
      // Of the process, not of this file: others would fail in the same way, and be left out one by one.
      if error.isOfProcess {
        throw YesterError.system("Reading", printable(request.path), error)
      }
      result.problems.append(PathProblem.of(error, doing: "reading it", request.path))
    }
    return result
  }

  private func read(
    _ file: Descriptor, _ status: FileStatus, _ request: FileRequest, _ target: FileIngest.Target?,
    _ problems: inout [PathProblem]
  ) throws -> Entry {
    let known = problems.count
    let attributes = try Attributes.read(request.path, &problems) { () throws(Errno) in
      try ExtendedAttributes.readEach(file)
    }
    // Then the next run must not take the file over as it is.
    let isIncomplete = problems.count > known
    guard let ingest, let target else {
      return maker.entry(
        request.name, status, .file(size: status.size, content: .empty), attributes: attributes)
    }
    func entry(_ status: FileStatus, _ body: EntryBody) -> Entry {
      var entry = maker.entry(request.name, status, body, attributes: attributes)
      entry.isIncomplete = isIncomplete
      return entry
    }
    try target.lane.setOwner(status.user)
    var before = status
    var attempt = 1
    while true {
      let result = try ingest.store(file, size: before.size, blocks: before.blocks, to: target)
      let body = EntryBody.file(size: result.size, content: result.content)
      // A change that comes while a small file is read changes its times to now; what is stored has the old ones, so
      // that the next run reads it again. Only where the clock may be too coarse for that need it be looked at twice.
      let isSettled = before.changed.seconds < Timestamp.now().seconds - Self.settledSeconds
      if result.isOneRead && isSettled { return entry(before, body) }
      let after = try file.status()
      let isStable = after.size == before.size && after.modified == before.modified && result.size == before.size
      if isStable || attempt == 2 {
        if !isStable {
          problems.append(
            PathProblem(.changed, request.path, "it changed while it was read; what is stored may be a mixture"))
        }
        return entry(after, body)
      }
      before = after
      attempt += 1
    }
  }
}

extension Errno {
  /// Whether it says something of the process, which lacks descriptors or memory, and nothing of the file.
  var isOfProcess: Bool { [EMFILE, ENFILE, ENOMEM].contains(rawValue) }
}

extension PathProblem {
  /// That something failed for one path. A source itself that is gone is missing, not just gone before its turn came.
  static func of(_ error: Errno, doing: String, _ path: [UInt8], isSource: Bool = false) -> PathProblem {
    switch (error, isSource) {
    case (.notFound, false): PathProblem(.vanished, path, "it is gone")
    case (.notFound, true): PathProblem(.missing, path, "it is not there")
    case (_, false): PathProblem(.unreadable, path, "\(doing) failed: \(error)")
    case (_, true): PathProblem(.missing, path, "\(doing) failed: \(error)")
    }
  }
}
