internal import RepositoryFormat
internal import ArgumentParser
internal import ChunkCodec
internal import FileBackup
internal import Glibc
internal import Platform
internal import Reporting
internal import SnapshotWriting

/// Where the content of a backup comes from, beside the paths that are named.
struct SourceOptions: ParsableArguments {
  static let discussion = """
    Paths are taken from the working directory, and lie in the snapshot under their absolute paths, whatever symbolic \
    links lead there. A directory is backed up with all below it; of the directories above only the way is kept. A \
    path that is not there is named, and the others are backed up (status 3); --strict makes no snapshot then. When \
    nothing could be backed up, no snapshot is made (status 1).

    --stdin-name makes a snapshot of what comes through a pipe, as in "pg_dump shop | yester backup --stdin-name \
    shop.sql". Nobody can see at this end of a pipe whether the program at the other has failed; better is "yester \
    backup --stdin-name shop.sql --stdin-from-command -- pg_dump shop", which makes no snapshot unless the command \
    ends with status 0. The file lies at /NAME in the snapshot. Without --plan its plan has the same name, so that a \
    dump and the backups of files are rotated apart. An empty stream makes no snapshot.
    """

  @Option(
    help: ArgumentHelp(
      """
      Also back up the paths in a file, or in standard input for "-": separated by newlines, or by zero bytes, as \
      "find -print0" does. Each is taken as it is; no character has a meaning.
      """, valueName: "file"),
    completion: .file())
  var filesFrom: String?
  @Option(
    help: ArgumentHelp("Back up standard input, as a file of this name in the snapshot's root.", valueName: "name"))
  var stdinName: String?
  @Flag(help: "Instead of standard input, take what a command prints; it follows behind \"--\".")
  var stdinFromCommand = false
  @Flag(help: "Make no snapshot when a source is missing or something cannot be read: end with status 1 then.")
  var strict = false

  /// `paths` are those on the command line.
  func validate(_ paths: [String], isDryRun: Bool) throws {
    guard filesFrom?.isEmpty != true else { throw ValidationError("--files-from names no file: it is empty.") }
    if stdinFromCommand {
      guard stdinName != nil else { throw ValidationError("--stdin-from-command needs --stdin-name.") }
      guard paths.first.map({ !$0.isEmpty }) ?? false else {
        throw ValidationError("--stdin-from-command needs a command behind \"--\".")
      }
    }
    guard stdinName != nil else {
      guard !paths.isEmpty || filesFrom != nil else {
        throw ValidationError("Name at least one path to back up, or use --files-from or --stdin-name.")
      }
      return
    }
    guard stdinFromCommand || paths.isEmpty, filesFrom == nil else {
      throw ValidationError("--stdin-name makes a snapshot of one stream: other paths need a backup of their own.")
    }
    guard !isDryRun else { throw ValidationError("A dry run cannot look at a stream.") }
    guard stdinFromCommand || Descriptor.terminalColumns(0) == 0 else {
      throw ValidationError("Standard input is a terminal. Lead a pipe or a file here, or use --stdin-from-command.")
    }
  }

  /// `stop` ends the waiting for a stream.
  func apply(_ paths: [String], to options: inout BackupOptions, stop: CancellationFlag) throws {
    options.isStrict = strict
    if let stdinName {
      let file = try StreamedFile(name: stdinName, stream(paths, stop))
      options.streamedFiles = [file]
      options.plan = Self.plan(file)
      return
    }
    options.sources = paths
    guard let filesFrom else { return }
    do throws(Errno) {
      // Opening a FIFO would wait for its writer, and nothing would end that.
      let descriptor =
        filesFrom == "-" ? try Descriptor.standardInput() : try Descriptor.open(filesFrom, O_RDONLY | O_NONBLOCK)
      let name = filesFrom == "-" ? "from standard input" : filesFrom
      options.sourceList = PathStream(descriptor, name: name, stop: stop)
    } catch {
      throw YesterError.system("Opening the list of files", filesFrom, error)
    }
  }

  private func stream(_ paths: [String], _ stop: CancellationFlag) throws -> any ByteStream {
    if stdinFromCommand { return CommandStream(paths, stop: stop) }
    do throws(Errno) {
      return DescriptorStream(try Descriptor.standardInput(), name: "standard input", stop: stop)
    } catch {
      throw YesterError.system("Opening", "standard input", error)
    }
  }

  /// Dumps are not to be rotated with the files of the machine, nor with each other: the whole path names the plan. Of
  /// one that is too long the end makes the difference.
  private static func plan(_ file: StreamedFile) -> String {
    let path = String(printable(file.path).dropFirst())
    guard path.utf8.count > planSizeMax else { return path }
    let end = "~" + SHA256.hash(file.path).hex.prefix(16)
    var plan = path
    while plan.utf8.count + end.utf8.count > planSizeMax { plan.removeLast() }
    return plan + end
  }
  private static let planSizeMax = 100
}
