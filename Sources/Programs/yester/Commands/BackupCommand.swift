internal import ArgumentParser
internal import ChunkCodec
internal import FileBackup
internal import LocalFiles
internal import Maintenance
internal import Platform
internal import Reporting
internal import RepositoryFormat
internal import ResultDocuments
internal import SnapshotWriting
internal import Workflows

struct BackupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup", abstract: "Make a snapshot of files and directories.", discussion: SourceOptions.discussion)

  @Argument(help: ArgumentHelp("What to back up.", valueName: "path"), completion: .file())
  var paths: [String] = []
  @OptionGroup(title: "Where it comes from") var sources: SourceOptions

  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var listing: ListingOptions

  @OptionGroup(title: "What the snapshot is") var description: DescriptionOptions
  @OptionGroup(title: "What is left out") var excludes: ExcludeOptions

  @Option(help: "What it is compared with, to find out what has changed (default: incremental).")
  var type: SnapshotType?

  @Flag(help: "Do not look at the time of change when deciding whether a file is unchanged.")
  var ignoreCtime = false
  @Flag(help: "Do not look at the inode number when deciding whether a file is unchanged.")
  var ignoreInode = false

  @Option(
    help: ArgumentHelp(
      "How hard to compress, 1 (fast) to 19 (small) (default: between 2 and 3, the best bargain).", valueName: "level"))
  var compression: Int?

  @Flag(
    help: ArgumentHelp(
      "Do not compress files of different owners together.",
      discussion: """
        Who can see the sizes of what is stored, and has text of his choice backed up beside a secret, may learn \
        something of that from how well both compress together.
        """))
  var separateOwners = false

  @Option(
    help: ArgumentHelp(
      "How many files to read at the same time, compressing as many blocks (default: one for each processor).",
      valueName: "number"))
  var readConcurrency: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Write at most so much a second to the repository, such as 10M; without a unit in KiB (default: no limit).",
      valueName: "size"),
    transform: { try ByteSize.parse($0, unit: 1 << 10, in: 1 << 10...1 << 40) })
  var limitUpload: UInt64?

  @Option(
    help: ArgumentHelp(
      "Prove the snapshot at once: \"mount\" mounts it and reads every new file through the mount.", valueName: "how"))
  var verify: VerifyMethod?

  @Flag(name: [.customLong("dry-run"), .customShort("n")], help: "Only say what would be stored.")
  var dryRun = false

  enum VerifyMethod: String, ExpressibleByArgument, CaseIterable { case mount }

  func validate() throws {
    try sources.validate(paths, isDryRun: dryRun)
    try listing.validate(output)
    guard compression.map(Zstd.levels.contains) ?? true else { throw ValidationError("--compression takes 1 to 19.") }
    guard readConcurrency.map((1...BackupOptions.readConcurrencyMax).contains) ?? true else {
      throw ValidationError("--read-concurrency takes 1 to \(BackupOptions.readConcurrencyMax).")
    }
    guard verify == nil || !dryRun else { throw ValidationError("A dry run makes nothing that could be verified.") }
  }

  func run() throws {
    let list = listing.list(output, prefix: [0x2F])
    // For listings of the base alone.
    let repository = try access.open(
      cacheSize: 32 << 20, uploadLimit: limitUpload.map { Int($0) }, until: Termination.stop)
    let workflow = BackupWorkflow(try options(), verification: verify.map { _ in whileMounted })
    let result = try workflow.run(repository, output.interaction(list: list))
    if let proven = result.verification, proven.findings.isEmpty, !output.json && !output.quiet {
      let files = Output.count(proven.files, "new file")
      Output.line("Verified \(files) (\(Output.size(proven.bytes))) through the mount.")
    }
    if output.json {
      Output.json(BackupDocument(result))
    } else if !output.quiet {
      Self.printText(result.backup, result.seconds)
    }
    for finding in result.verification?.findings ?? [] {
      Output.note("yester: \(printable(finding.path ?? [])): \(finding.message).")
    }
    if let failure = result.failure { throw failure }
  }

  private func options() throws -> BackupOptions {
    var options = BackupOptions()
    try sources.apply(paths, to: &options, stop: Termination.stop)
    options.type = type ?? .incremental
    options.comparesChangeTime = !ignoreCtime
    options.comparesInode = !ignoreInode
    options.compressionLevel = compression
    options.readConcurrency = readConcurrency
    options.separatesOwners = separateOwners
    options.isDryRun = dryRun
    options.showsProgress = ProgressDisplay.isSeen(output)
    description.apply(to: &options)
    try excludes.apply(to: &options)
    return options
  }

  private func whileMounted(_ host: String, _ body: (String) throws -> Void) throws {
    var launcher = DriverLauncher(access.access)
    launcher.options = ["host=\(MountOptionList.escaped(host))"]
    try launcher.whileMounted(body)
  }

  private static func printText(_ result: Backup.Result, _ seconds: Double) {
    let record = result.record
    let c = record.counts
    let verb = result.id == nil ? "Would make" : "Made"
    Output.line("\(verb) snapshot \(record.name), \(record.type), in \(Output.duration(seconds)).")
    if let base = result.baseName { Output.line("Compared with \(base):") }
    Output.line(
      "  \(Output.count(c.added)) added, \(Output.count(c.modified)) modified, \(Output.count(c.deleted)) deleted, "
        + "\(Output.count(c.unchanged)) unchanged")
    Output.line(
      "  \(Output.count(c.entries, "entry", "entries")), \(Output.size(c.bytes)) in "
        + Output.count(c.files, "file"))
    if result.id != nil {
      Output.line(
        "  \(Output.size(c.bytesRead)) read, \(Output.size(c.bytesNew)) new, \(Output.size(c.bytesStored)) stored")
    }
  }
}

struct DescriptionOptions: ParsableArguments {
  @Option(help: "Why the snapshot is made (default: daily).")
  var kind: SnapshotKind?
  @Option(name: [.long, .customShort("d")], help: "A short description; it becomes part of the name.")
  var description = ""
  @Option(help: "Who made it (default: the user).") var creator: String?
  @Option(help: "What it is for.") var purpose = ""
  @Option(help: "Anything else worth knowing.") var notes = ""
  @Option(help: "The ticket of the change that follows.") var changeTicket = ""
  @Option(name: .customLong("tag"), help: "A tag, for rotation rules; can be given several times.")
  var tags: [String] = []
  @Option(help: "The plan that the snapshot belongs to (default: \"default\", or the name given by --stdin-name).")
  var plan: String?
  @Option(help: "The host to file it under (default: this one).") var host: String?

  func validate() throws {
    guard plan.map({ !$0.isEmpty && $0.utf8.count <= 100 }) ?? true else {
      throw ValidationError("--plan takes 1 to 100 characters.")
    }
    guard host.map({ !$0.isEmpty && $0.utf8.count <= 255 && !$0.contains("/") }) ?? true else {
      throw ValidationError("--host takes 1 to 255 characters without a slash.")
    }
  }

  func apply(to options: inout BackupOptions) {
    options.kind = kind ?? .daily
    options.summary = description
    options.creator = creator ?? System.userName
    options.purpose = purpose
    options.notes = notes
    options.changeTicket = changeTicket
    options.tags = tags
    if let plan { options.plan = plan }
    if let host { options.host = host }
  }
}

struct ExcludeOptions: ParsableArguments {
  @Option(
    name: [.customLong("exclude"), .customShort("e")],
    help: ArgumentHelp("Leave out what matches, in gitignore syntax from \"/\".", valueName: "pattern"))
  var patterns: [String] = []
  @Option(
    name: .customLong("exclude-from"), help: ArgumentHelp("Read such patterns from a file.", valueName: "file"),
    completion: .file())
  var files: [String] = []
  @Flag(help: "Leave out the content of directories marked by a CACHEDIR.TAG.")
  var excludeCaches = false
  @Option(
    name: .customLong("exclude-if-present"),
    help: ArgumentHelp("Leave out the content of directories that hold a file of this name.", valueName: "name"))
  var markers: [String] = []
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Leave out files larger than this, such as 2G; without a unit in bytes.", valueName: "size"),
    transform: { try ByteSize.parse($0) })
  var excludeLargerThan: UInt64?
  @Flag(name: [.long, .customShort("x")], help: "Do not enter other file systems.")
  var oneFileSystem = false

  func validate() throws {
    guard !patterns.contains("") else { throw ValidationError("--exclude was given no pattern.") }
    for name in markers where name.isEmpty || name.contains("/") {
      throw ValidationError(
        "\"\(name)\" is not the name of a file: --exclude-if-present takes one without a slash.")
    }
  }

  func apply(to options: inout BackupOptions) throws {
    var lines = patterns.map(\.pathBytes)
    for file in files {
      do throws(Errno) {
        let bytes = try Descriptor.open(file).readAll(limit: 64 << 20)
        lines += bytes.split(separator: 0x0A).map { Array($0) }
      } catch {
        throw YesterError.system("Reading the exclude file", file, error)
      }
    }
    do {
      options.excludes = try ExcludeRules(lines: lines)
    } catch {
      throw YesterError(.usage, "An exclude pattern is unusable: \(error)")
    }
    for line in options.excludes.malformedLines {
      Output.note(
        "yester: the exclude pattern \(printable(lines[line - 1]).dropFirst()) is malformed and matches nothing.")
    }
    options.excludePatterns = lines
    // Lists are shared by machines that do not all have what they name; but a slash in front was not forgotten there.
    options.ownExcludePatterns = lines.enumerated().compactMap { number, line in
      number < patterns.count || line.first != 0x2F ? line : nil
    }
    options.excludeCaches = excludeCaches
    options.markers = markers.map(\.pathBytes)
    options.fileSizeMax = excludeLargerThan
    options.oneFileSystem = oneFileSystem
  }
}
