package import Platform
internal import Reporting
internal import SnapshotWriting

/// A list of paths to back up, in a file or coming through a pipe: separated by zero bytes where there is one near its
/// beginning, and by newlines otherwise. Paths are bytes; nothing in them has a meaning, but for slashes. Empty ones
/// are passed over.
package struct PathStream: Sendable {
  /// No path is longer, so that a zero byte must come before this many bytes in a list that is separated by them.
  static let pathSizeMax = 1 << 16

  private let stream: DescriptorStream
  /// For messages.
  package let name: String

  /// `stop` ends the waiting for more of it. A FIFO is best opened without waiting for its writer: it is waited for here.
  package init(_ descriptor: Descriptor, name: String, stop: CancellationFlag) {
    stream = DescriptorStream(descriptor, name: "the list of files \(name)", stop: stop)
    self.name = name
  }

  /// Calls `body` with each path; the number of them. Memory does not depend on the length of the list. Throws
  /// `Stopped`.
  func forEach(_ body: (ArraySlice<UInt8>) throws -> Void) throws -> Int {
    var count = 0
    var rest: [UInt8] = []
    var separator: UInt8?
    let buffer = Bytes(capacity: 1 << 16)
    func take(_ path: ArraySlice<UInt8>) throws {
      guard path.count <= Self.pathSizeMax else {
        throw YesterError(.failed, "A path in \(name) is longer than \(Self.pathSizeMax) bytes")
      }
      guard !path.isEmpty else { return }
      count += 1
      try body(path)
    }
    while true {
      let got = try stream.read(into: buffer.whole)
      // Nobody at a terminal says twice that it has ended.
      let isEnd = got < buffer.whole.count
      let piece = UnsafeRawBufferPointer(rebasing: buffer.whole[..<got])
      if separator == 0x0A, piece.contains(0) {
        throw YesterError(
          .failed, "The list of files \(name) has both lines and zero bytes",
          advice: "Separate all paths by newlines, or all by zero bytes (find -print0).")
      }
      rest.append(contentsOf: piece)
      if separator == nil {
        if rest.contains(0) {
          separator = 0
        } else if isEnd || rest.count > Self.pathSizeMax {
          separator = 0x0A
        }
      }
      guard let separator else { continue }
      var start = rest.startIndex
      while let end = rest[start...].firstIndex(of: separator) {
        try take(rest[start..<end])
        start = end + 1
      }
      rest.removeFirst(start)
      if isEnd {
        try stream.finish()
        try take(rest[...])
        return count
      }
      if rest.count > Self.pathSizeMax { try take(rest[...]) }
    }
  }
}

/// Finds out where the paths lie that somebody has named.
struct SourceList {
  private static let knownMax = 4096

  private(set) var paths = PathList()
  /// Directories that were resolved, as given and as they are: lists name many files of one directory.
  private var known: [[UInt8]: [UInt8]] = [:]

  /// Takes a path as the user gave it, relative to the working directory. The last component is not followed when it
  /// is a symbolic link; a slash behind it asks for following. It need not be there. Throws `Errno` when what is above
  /// it is not there, and `YesterError` when there are too many.
  mutating func add(_ path: ArraySlice<UInt8>) throws {
    let name = path.suffix(from: path.lastIndex(of: 0x2F).map { $0 + 1 } ?? path.startIndex)
    let absolute: [UInt8]
    if name.isEmpty || name.elementsEqual([0x2E]) || name.elementsEqual([0x2E, 0x2E]) {
      absolute = try System.resolve(Array(path))
    } else {
      let above = path[..<name.startIndex]
      let real = try resolve(above.isEmpty ? [0x2E] : Array(above))
      absolute = (real == [0x2F] ? real : real + [0x2F]) + name
    }
    guard paths.add(absolute.dropFirst()) else {
      throw YesterError(
        .failed, "The paths to back up are longer than \(PathList.sizeMax >> 20) MiB together",
        advice: "Name directories rather than all that is in them.")
    }
  }

  private mutating func resolve(_ directory: [UInt8]) throws(Errno) -> [UInt8] {
    if let real = known[directory] { return real }
    let real = try System.resolve(directory)
    if known.count == Self.knownMax { known = [:] }
    known[directory] = real
    return real
  }

  mutating func sort() { paths.sort() }

  /// A path as it was given, made absolute for messages without looking at anything.
  static func named(_ path: ArraySlice<UInt8>) -> [UInt8] {
    if path.first == 0x2F { return Array(path.dropFirst()) }
    let above = (try? System.resolve([0x2E])) ?? []
    return Array(above.dropFirst()) + (above.count > 1 ? [0x2F] : []) + path
  }
}

extension SourcePlan {
  /// From the paths and the list that the user gave. What is not there goes to `report`, by its path. Throws when the
  /// list is empty, and what `report` throws.
  init(_ options: BackupOptions, report: (PathProblem) throws -> Void) throws {
    var sources = SourceList()
    func add(_ path: ArraySlice<UInt8>, isChecked: Bool) throws {
      do {
        try sources.add(path)
        if isChecked { _ = try FileStatus(of: Array(path)) }
      } catch let error as Errno {
        try report(.of(error, doing: "looking at it", SourceList.named(path), isSource: true))
      }
    }
    for path in options.sources {
      guard !path.isEmpty else { throw YesterError(.usage, "An empty path cannot be backed up") }
      try add(path.pathBytes[...], isChecked: options.isStrict)
    }
    if let list = options.sourceList {
      let count = try list.forEach { try add($0, isChecked: false) }
      guard count > 0 else {
        throw YesterError(
          .failed, "The list of files \(list.name) is empty",
          advice: "No snapshot was made. Check the command that makes the list.")
      }
    }
    sources.sort()
    self.init(sources.paths)
  }
}
