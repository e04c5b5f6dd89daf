internal import Glibc
internal import Platform
internal import Reporting

/// Does once, with small files, what a repository asks of a file system, so that a disk that cannot keep one is
/// refused when the repository is made and not in the middle of the first backup.
///
/// Not asked for: hard links, a rename that spares what is there (`ObjectPlacing`), owners, modes, times, names that
/// differ in case alone.
enum FileSystemProbe {
  /// `folder` is an empty one of the repository `root`. Nothing is left in it.
  static func run(in folder: String, of root: String, onLimitation: (String) -> Void) throws(YesterError) {
    let directory: Descriptor
    do throws(Errno) {
      directory = try Descriptor.open(folder, Descriptor.directoryFlags)
    } catch {
      throw failure(root, error)
    }
    try Probe(directory, root).run(onLimitation)
  }

  private static func failure(_ root: String, _ error: Errno) -> YesterError {
    .system("Trying out the file system of", root, error)
  }

  private struct Probe {
    private let directory: Descriptor
    private let root: String
    /// As objects are named.
    private let first = Array(Hex.encode(System.random(32)).utf8)
    private let second = Array(Hex.encode(System.random(32)).utf8)

    init(_ directory: Descriptor, _ root: String) {
      self.directory = directory
      self.root = root
    }

    func run(_ onLimitation: (String) -> Void) throws(YesterError) {
      defer { for name in [first, second] { try? FileSystem.removeFile(name, at: directory) } }
      let content = System.random(64 << 10)
      try trying { () throws(Errno) in try make(first).write(Array(content.reversed())) }
      try requireExclusive()
      try trying { () throws(Errno) in try write(content, onLimitation) }
      try requireRename()
      try requireSame(content)
      try requireNames()
      try trying { () throws(Errno) in try syncDirectory(onLimitation) }
      try trying { () throws(Errno) in try FileSystem.removeFile(first, at: directory) }
    }

    private func trying<Value>(_ body: () throws(Errno) -> Value) throws(YesterError) -> Value {
      do throws(Errno) {
        return try body()
      } catch {
        throw failure(root, error)
      }
    }

    private func make(_ name: [UInt8]) throws(Errno) -> Descriptor {
      try Descriptor.open(name, at: directory, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
    }

    /// Nothing is open any more when this returns, as when objects get their names.
    private func write(_ content: [UInt8], _ onLimitation: (String) -> Void) throws(Errno) {
      let file = try make(second)
      try file.write(content)
      try syncFile(file, onLimitation)
    }

    private func requireExclusive() throws(YesterError) {
      do throws(Errno) {
        _ = try make(first)
      } catch {
        if error == .exists { return }
        throw failure(root, error)
      }
      throw unfit("makes a file anew that is there already")
    }

    private func requireRename() throws(YesterError) {
      do throws(Errno) {
        try FileSystem.rename(second, at: directory, to: first, at: directory)
      } catch {
        throw unfit("cannot rename a file over another (\(error))")
      }
    }

    private func requireSame(_ content: [UInt8]) throws(YesterError) {
      let found = try trying { () throws(Errno) in
        try Descriptor.open(first, at: directory).readAll(limit: 1 << 20)
      }
      guard found == content else { throw unfit("gives back other bytes than were written") }
    }

    private func requireNames() throws(YesterError) {
      // There may be others: FUSE and NFS rename what is deleted while it is open.
      // Opened anew: what came after a directory was opened need not be seen through it (btrfs).
      let names = try trying { () throws(Errno) in
        try Directory.names(Descriptor.open(".", at: directory, Descriptor.directoryFlags))
      }
      guard names.contains(first), !names.contains(second) else {
        throw unfit("shows other names of files than were given")
      }
    }

    private func syncFile(_ file: Descriptor, _ onLimitation: (String) -> Void) throws(Errno) {
      do throws(Errno) {
        try file.sync()
      } catch {
        guard error.refusesToSync else { throw error }
        onLimitation(
          "The file system of \(root) cannot be told to bring a file to the disk (\(error)). After a power failure the "
            + "newest backups may be damaged: then run \"yester verify --level packs\", and a new backup.")
      }
    }

    private func syncDirectory(_ onLimitation: (String) -> Void) throws(Errno) {
      do throws(Errno) {
        try directory.sync()
      } catch {
        guard error.refusesToSync else { throw error }
        onLimitation(
          "The file system of \(root) cannot be told to bring a directory to the disk (\(error)). After a power "
            + "failure the newest backup may be missing; earlier ones do not suffer.")
      }
    }

    private func unfit(_ reason: String) -> YesterError {
      YesterError(
        .failed, "The file system of \(root) \(reason), so it cannot keep a repository",
        advice: "Choose a place on another file system. Nothing was left there.")
    }
  }
}
