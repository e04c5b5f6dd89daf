internal import ChunkCodec
internal import Glibc
internal import Platform
internal import Reporting

/// Key files that yester makes.
package enum KeyFile {
  /// Runs `body` with a key file that is at `path`: one with a new key is made when none is there, and removed again when
  /// `body` throws, for it opens nothing; but not at error 3, which says that it was used. Gives also whether it was made.
  package static func withFile<Value>(
    at path: String, _ body: () throws -> Value
  ) throws -> (value: Value, wasMade: Bool) {
    if (try? FileStatus(of: path)) != nil { return (try body(), false) }
    try make(path)
    do {
      return (try body(), true)
    } catch let error as YesterError where error.code == .incomplete {
      throw error
    } catch {
      try? FileSystem.removeFile(path.pathBytes, at: nil)
      throw error
    }
  }

  /// Writes a new key; never over something that is there.
  private static func make(_ path: String) throws {
    do throws(Errno) {
      let file = try Descriptor.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
      try file.write(Secret.newKeyFileContent())
      try file.sync()
      // Its name as well, before anything is locked with it.
      try Directory.sync(above: path)
    } catch {
      throw YesterError.system("Writing the key file", path, error)
    }
  }
}
