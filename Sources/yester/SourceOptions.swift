internal import ArgumentParser
internal import BackupEngine
internal import Glibc
internal import Platform
internal import RepositoryStore

/// Where the content of a backup comes from, beside the paths that are named.
struct SourceOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Also back up the paths in a file, or in standard input for "-": separated by newlines, or by zero bytes, as \
      "find -print0" does. Each is taken as it is.
      """, valueName: "file"),
    completion: .file())
  var filesFrom: String?
  @Flag(help: "Make no snapshot when a source is missing or something cannot be read: end with status 1 then.")
  var strict = false

  /// `paths` are those on the command line.
  func validate(_ paths: [String]) throws {
    guard !paths.isEmpty || filesFrom != nil else {
      throw ValidationError("Name at least one path to back up, or use --files-from.")
    }
  }

  func apply(_ paths: [String], to options: inout BackupOptions) throws {
    options.sources = paths
    options.isStrict = strict
    guard let filesFrom else { return }
    do throws(Errno) {
      let descriptor = filesFrom == "-" ? try Descriptor.standardInput() : try Descriptor.open(filesFrom)
      options.sourceList = PathStream(descriptor, name: filesFrom == "-" ? "from standard input" : filesFrom)
    } catch { throw YesterError.system("Opening the list of files", filesFrom, error) }
  }

  /// What a run ends with whose snapshot lacks something.
  static func incomplete(_ result: Backup.Result) -> YesterError {
    let sources = result.missingSources
    let paths = result.problems - sources
    var parts: [String] = []
    if sources > 0 { parts.append("\(sources) \(sources == 1 ? "source" : "sources") could not be backed up") }
    if paths > 0 { parts.append("\(paths) \(paths == 1 ? "path" : "paths") could not be read properly") }
    return YesterError(
      .incomplete, parts.joined(separator: ", and ") + " (named above)",
      advice: "The snapshot holds everything else.")
  }
}
