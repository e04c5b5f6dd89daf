internal import RepositoryFormat
package import FileBackup
internal import Glibc
package import LocalFiles
internal import Platform
package import Reporting
package import RepositoryCore
package import Restoring
package import SnapshotTree
internal import SnapshotWriting

/// Returns one live path to what it was in a snapshot: planned first, with a restore point before anything is touched.
package enum Rollback {
  package struct Prepared {
    package let restore: Restore.Prepared
    /// The absolute path, without its leading slash.
    package let path: [UInt8]
    /// Whether there is anything at the path now.
    package let isThere: Bool
  }

  package static func prepare(
    _ reader: SnapshotReader, path: String, protecting: ProtectedDirectories, progress: RunProgress
  ) throws -> Prepared {
    let absolute = try absolutePath(path)
    guard let slash = absolute.lastIndex(of: 0x2F), absolute.count > 1 else {
      throw YesterError(
        .usage, "The root directory cannot be rolled back as a whole", advice: "Name a path below it.")
    }
    let name = Array(absolute[(slash + 1)...])
    let above = Array(absolute[..<slash])
    let parent: Descriptor
    do throws(Errno) {
      // One may have no right to list the directory that one's own lies in.
      let flags = Descriptor.passageFlags & ~Descriptor.noFollow
      parent = try Descriptor.open(above.isEmpty ? [0x2F] : above, flags)
    } catch {
      throw YesterError.system("Opening the directory of", path, error)
    }
    var options = Restore.Options()
    options.deletes = true
    options.protected = protecting
    let restore = try Restore.prepare(
      reader, path: absolute, inPlace: parent, name: name, options, progress: progress)
    let isThere: Bool
    do throws(Errno) {
      _ = try FileStatus(of: name, at: parent)
      isThere = true
    } catch {
      // Whatever is there and cannot be looked at would not get into the restore point.
      guard error == .notFound else { throw YesterError.system("Looking at", path, error) }
      isThere = false
    }
    return Prepared(restore: restore, path: Array(absolute.dropFirst()), isThere: isThere)
  }

  /// The path with the directories above its last component resolved; they must be there.
  package static func absolutePath(_ path: String) throws -> [UInt8] {
    var text = path
    while text.count > 1 && text.hasSuffix("/") { text.removeLast() }
    let slash = text.lastIndex(of: "/")
    let above = slash.map { $0 == text.startIndex ? "/" : String(text[..<$0]) } ?? "."
    let name = slash.map { String(text[text.index(after: $0)...]) } ?? text
    guard !name.isEmpty, name != ".", name != ".." else {
      guard let real = System.realPath(text) else { throw YesterError(.failed, "\(path) is not there") }
      return real.pathBytes
    }
    guard let real = System.realPath(above) else {
      throw YesterError(
        .failed, "The directory \(above) is not there", advice: "Make it first, or restore it with \"yester restore\".")
    }
    return ((real == "/" ? "" : real) + "/" + name).pathBytes
  }

  /// Takes a restore point of what is there now; nil when nothing is.
  package static func takeRestorePoint(
    _ repository: Repository, _ prepared: Prepared, of snapshot: String, progress: RunProgress,
    report: @escaping (PathProblem) -> Void
  ) throws -> Backup.Result? {
    guard prepared.isThere, prepared.restore.plan.isDestructive else { return nil }
    var options = BackupOptions()
    options.sources = [String(path: [0x2F] + prepared.path)]
    options.kind = .restorePoint
    options.summary = "before-rollback"
    options.purpose = "State of \(printable(prepared.path)) before it was rolled back to \(snapshot)"
    options.creator = System.userName
    options.program = ProgramVersion.text
    let result = try Backup.run(repository, options, progress: progress, report: report)
    guard result.problems == 0 else {
      throw YesterError(
        .failed, "The restore point is incomplete: \(result.problems) files could not be read (named above)",
        advice: "Nothing was rolled back. Run the command as a user who can read them all.")
    }
    return result
  }
}
