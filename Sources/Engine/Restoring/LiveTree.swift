internal import Reporting
internal import Glibc
internal import Platform

/// The destination of a restore, reached one component at a time and never through a symbolic link.
final class LiveTree {
  let root: Descriptor
  /// The directory that was asked for last: actions come in the order of the tree.
  private var last: (path: [UInt8], directory: Descriptor)

  init(_ root: Descriptor) {
    self.root = root
    last = ([], root)
  }

  /// The directory at a relative path, which need not be readable: for looking and opening below it only.
  func directory(_ path: [UInt8]) throws(Errno) -> Descriptor {
    if path == last.path { return last.directory }
    var directory = root
    var rest = path[...]
    // Going down from where we were saves most of the way in a deep tree.
    if path.starts(with: last.path), !last.path.isEmpty, path.count > last.path.count, path[last.path.count] == 0x2F {
      directory = last.directory
      rest = path[(last.path.count + 1)...]
    }
    for name in rest.split(separator: 0x2F) {
      directory = try Descriptor.open(Array(name), at: directory, Descriptor.passageFlags)
    }
    last = (path, directory)
    return directory
  }

  /// The directory above a path, and the name in it.
  func parent(_ path: [UInt8]) throws(Errno) -> (Descriptor, [UInt8]) {
    guard let slash = path.lastIndex(of: 0x2F) else { return (root, path) }
    return (try directory(Array(path[..<slash])), Array(path[(slash + 1)...]))
  }

  func forgetPosition() { last = ([], root) }

  /// Looks through a tree before anything of it is removed: half a removal helps nobody.
  private static func requireOneFileSystem(
    _ name: [UInt8], at directory: Descriptor, _ device: UInt64
  ) throws(Errno) {
    var waiting: [[UInt8]] = []
    let top = try Descriptor.open(name, at: directory, Descriptor.directoryFlags)
    func look(_ open: Descriptor, _ path: [UInt8]) throws(Errno) {
      guard try open.status().device == device else { throw .busy }
      try Directory.forEachName(open) { name, type in
        if type == UInt8(DT_DIR) || type == UInt8(DT_UNKNOWN) {
          waiting.append(path.isEmpty ? Array(name) : path + [0x2F] + Array(name))
        }
      }
    }
    try look(top, [])
    let tree = LiveTree(top)
    while let path = waiting.popLast() {
      let (parent, name) = try tree.parent(path)
      guard try FileStatus(of: name, at: parent).isDirectory else { continue }
      try look(try Descriptor.open(name, at: parent, Descriptor.directoryFlags), path)
    }
  }

  /// Removes what is at `name`, with all below it; never another file system mounted there: then nothing goes (EBUSY).
  /// Throws `Errno`, and `YesterError` when somebody moves directories of it meanwhile.
  static func remove(_ name: [UInt8], at directory: Descriptor) throws {
    let status = try FileStatus(of: name, at: directory)
    guard status.isDirectory else { return try FileSystem.removeFile(name, at: directory) }
    let device = status.device
    try requireOneFileSystem(name, at: directory, device)
    // One level of the way down: its name, and what is still in it.
    struct Level {
      let name: [UInt8]
      var names: [[UInt8]]
    }
    var stack: [Level] = []
    var directories = DirectoryStack()
    func enter(_ name: [UInt8], _ above: Descriptor) throws(Errno) {
      let inner = try Descriptor.open(name, at: above, Descriptor.directoryFlags)
      guard try inner.status().device == device else { throw .busy }
      stack.append(Level(name: name, names: try Directory.names(inner)))
      try directories.push(OpenDirectory(inner), flags: Descriptor.directoryFlags)
    }
    try enter(name, directory)
    while let top = stack.last, let here = directories.top {
      if let next = top.names.last {
        stack[stack.count - 1].names.removeLast()
        if try FileStatus(of: next, at: here).isDirectory {
          try enter(next, here)
        } else {
          try FileSystem.removeFile(next, at: here)
        }
      } else {
        do throws(LostDirectory) {
          try directories.pop()
        } catch {
          let path = stack.map(\.name).joined(separator: [0x2F])
          throw YesterError.lost(above: printable(Array(path)), error, while: "it was removed")
        }
        stack.removeLast()
        try FileSystem.removeDirectory(top.name, at: directories.top ?? directory)
      }
    }
  }
}
