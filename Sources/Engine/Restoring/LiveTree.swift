internal import Glibc
internal import Platform

/// The destination of a restore, reached one component at a time and never through a symbolic link.
final class LiveTree {
  private static let openDirectoriesMax = 256
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
  static func remove(_ name: [UInt8], at directory: Descriptor) throws(Errno) {
    let status = try FileStatus(of: name, at: directory)
    guard status.isDirectory else { return try FileSystem.removeFile(name, at: directory) }
    let device = status.device
    try requireOneFileSystem(name, at: directory, device)
    // One level of the way down: the directory (nil while the walk is far below), its name, and what is still in it.
    struct Level {
      var directory: Descriptor?
      let name: [UInt8]
      var names: [[UInt8]]
    }
    func open(_ name: [UInt8], _ above: Descriptor) throws(Errno) -> Level {
      let inner = try Descriptor.open(name, at: above, Descriptor.directoryFlags)
      guard try inner.status().device == device else { throw .busy }
      return Level(directory: inner, name: name, names: try Directory.names(inner))
    }
    var stack = [try open(name, directory)]
    while let top = stack.last, let here = top.directory {
      if let next = top.names.last {
        stack[stack.count - 1].names.removeLast()
        if try FileStatus(of: next, at: here).isDirectory {
          let below = try open(next, here)
          if stack.count >= openDirectoriesMax { stack[stack.count - openDirectoriesMax].directory = nil }
          stack.append(below)
        } else {
          try FileSystem.removeFile(next, at: here)
        }
      } else {
        stack.removeLast()
        if stack.last != nil, stack[stack.count - 1].directory == nil {
          stack[stack.count - 1].directory = try Descriptor.open("..", at: here, Descriptor.directoryFlags)
        }
        try FileSystem.removeDirectory(top.name, at: stack.last?.directory ?? directory)
      }
    }
  }
}
