internal import Glibc
internal import Platform
internal import Reporting
package import RepositoryFormat

/// A file that lies nowhere, and whose content comes through a stream.
package struct StreamedFile: Sendable {
  /// Where it lies in the snapshot, without the slash in front.
  package let path: [UInt8]
  package let stream: any ByteStream
  /// The way to it, and its name.
  fileprivate let parts: [[UInt8]]

  /// `name` is its path in the snapshot, from the root, with or without a slash in front.
  package init(name: String, _ stream: any ByteStream) throws {
    let parts = name.pathBytes.split(separator: 0x2F)
    let isGood = parts.allSatisfy { part in part.withUnsafeBytes { isValidName($0) } }
    guard !parts.isEmpty, isGood, name.pathBytes.last != 0x2F, parts.count < Limits.treeDepthMax else {
      throw YesterError(
        .usage, "\"\(name)\" cannot be the name of a file in a snapshot", advice: "Use one such as dump.sql.")
    }
    self.parts = parts.map { Array($0) }
    path = Array(parts.joined(separator: [0x2F]))
    self.stream = stream
  }
}

/// A snapshot that holds nothing but files that come through streams, one after the other. They belong to the user who
/// makes the snapshot, and nobody else may read them.
package struct StreamedFiles: SnapshotSource {
  private static let namesMax = 1000

  private let files: [StreamedFile]
  private let directory: (_ path: [UInt8]) -> Entry?

  /// `directory` makes the entry of a directory above them, of which the name does not count, by its absolute path; where
  /// it gives none, there is one that belongs to the user. Throws where two files cannot have the paths that they have.
  package init(_ files: [StreamedFile], directory: @escaping (_ path: [UInt8]) -> Entry? = { _ in nil }) throws {
    self.files = files.sorted { $0.parts.lexicographicallyPrecedes($1.parts) { $0.precedes($1) } }
    self.directory = directory
    // What is below a file comes right behind it.
    for (file, next) in zip(self.files, self.files.dropFirst()) where next.parts.starts(with: file.parts) {
      let what = next.parts.count == file.parts.count ? "Two files" : "A file and a directory"
      throw YesterError(
        .usage, "\(what) cannot both be \(printable(file.path)) in one snapshot", advice: "Give each a path of its own."
      )
    }
  }

  package var names: [[UInt8]] {
    files.count > Self.namesMax ? [[0x2F]] : files.map { [0x2F] + $0.path }
  }

  package func write(to writer: SnapshotWriter) throws {
    var isBegun = false
    // Directories below the root that were entered.
    var open: [[UInt8]] = []
    for file in files {
      // First of all: nothing is said of a file that does not come to a good end.
      let body = try content(of: file, writer)
      if !isBegun { try writer.enter(directory([])) }
      isBegun = true
      let above = file.parts.dropLast()
      while !above.starts(with: open) {
        try writer.leave()
        open.removeLast()
      }
      for name in above.dropFirst(open.count) {
        open.append(name)
        try writer.enter(directory(open))
      }
      try writer.add(entry(file.parts[file.parts.count - 1], permissions: 0o600, linkCount: 1, body))
    }
    if !isBegun { try writer.enter(directory([])) }
    for _ in open { try writer.leave() }
    try writer.leave()
  }

  private func content(of file: StreamedFile, _ writer: SnapshotWriter) throws -> EntryBody {
    let body = try writer.store(file.stream)
    guard case .file(let size, _) = body, size > 0 else {
      throw YesterError(
        .failed, "Nothing came to be stored as \(printable(file.path))",
        advice: "No snapshot was made: an empty stream mostly comes from a command that has failed.")
    }
    return body
  }

  /// Of what it holds only the way to the files is in the snapshot.
  private func directory(_ parts: [[UInt8]]) -> Entry {
    let name = parts.last ?? []
    let body = EntryBody.directory(below: 0, listing: .zero)
    var entry =
      directory([0x2F] + parts.joined(separator: [0x2F])) ?? entry(name, permissions: 0o755, linkCount: 2, body)
    entry.name = name
    entry.body = body
    entry.isPartial = true
    return entry
  }

  private func entry(_ name: [UInt8], permissions: UInt32, linkCount: UInt64, _ body: EntryBody) -> Entry {
    let now = Timestamp.now()
    let (user, group) = (geteuid(), getegid())
    let owner = Owner(user: user, group: group, userName: System.userName(user), groupName: System.groupName(group))
    return Entry(
      name: name, permissions: permissions, owner: owner, modified: now, changed: now, born: nil, linkCount: linkCount,
      sourceInode: 0, body: body)
  }
}
