internal import Glibc
internal import Platform
internal import Reporting
package import RepositoryFormat

/// The file in which a machine's user keeps the memory of a repository. No command fails for it: what cannot be read is
/// told, and begun anew.
///
/// Any number of processes: whoever changes it holds a lock on the folder, reads what is there, and replaces the file by
/// one that is complete and synced.
package struct RepositoryMemoryFile: Sendable {
  private let directory: String
  package let path: String
  private let warn: @Sendable (String) -> Void

  /// A process that holds the lock and does not go on, because it was stopped say, is not waited for any longer.
  private static let lockTries = 200
  private static let lockPauseMicroseconds: UInt32 = 10_000

  /// `warn` is called with a sentence for the user.
  package init(_ directory: String, _ repository: RepositoryID, warn: @escaping @Sendable (String) -> Void) {
    self.directory = directory
    path = directory + "/" + repository.description
    self.warn = warn
  }

  private enum State {
    case known(RepositoryMemory)
    case unusable(String)
    /// Not to be replaced.
    case newer
  }

  private func read() -> State {
    do throws(Errno) {
      let bytes = try Descriptor.open(path).readAll(limit: RepositoryMemory.sizeMax)
      do throws(FormatError) {
        return .known(try RepositoryMemory(decoding: bytes))
      } catch {
        return error.kind == .needsNewerVersion ? .newer : .unusable(error.message)
      }
    } catch {
      return error == .notFound ? .known(RepositoryMemory()) : .unusable("\(error)")
    }
  }

  /// What is remembered; nothing at first, and when the file is unusable.
  package func load() -> RepositoryMemory {
    switch read() {
    case .known(let memory): return memory
    case .newer:
      warn("The file \(path), in which this machine remembers the repository, needs a newer yester.")
    case .unusable(let reason):
      warn(
        "The file \(path), in which this machine remembers what it has seen of the repository, is unusable: \(reason). "
          + "It is begun anew: what was lost in the repository before, this machine cannot tell any more.")
    }
    return RepositoryMemory()
  }

  /// Changes what is remembered, on top of what others have added meanwhile.
  package func update(_ change: (inout RepositoryMemory) -> Void) {
    do throws(Errno) {
      try Directory.makeAll(directory)
      let folder = try Descriptor.open(directory, Descriptor.directoryFlags & ~Descriptor.noFollow)
      lock(folder)
      let before: RepositoryMemory?
      switch read() {
      case .known(let memory): before = memory
      case .unusable: before = nil
      case .newer: return
      }
      var memory = before ?? RepositoryMemory()
      change(&memory)
      if memory != before { try replace(memory.encode(), in: folder) }
    } catch {
      warn("What was seen of the repository cannot be remembered in \(path): \(error).")
    }
  }

  /// Held until the folder is closed. Some file systems have no locks: then the last of two who write at once wins.
  private func lock(_ folder: Descriptor) {
    for _ in 0..<Self.lockTries {
      if flock(folder.raw, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK { return }
      usleep(Self.lockPauseMicroseconds)
    }
  }

  private func replace(_ bytes: [UInt8], in folder: Descriptor) throws(Errno) {
    let temporary = path + "." + Hex.encode(System.random(4))
    do throws(Errno) {
      let file = try Descriptor.open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
      try file.write(bytes)
      try file.sync()
      try FileSystem.rename(temporary.pathBytes, at: nil, to: path.pathBytes, at: nil)
    } catch {
      try? FileSystem.removeFile(temporary.pathBytes, at: nil)
      throw error
    }
    // Some file systems sync no directories. What is lost with a power failure now is seen again by the next run.
    try? folder.sync()
  }
}
