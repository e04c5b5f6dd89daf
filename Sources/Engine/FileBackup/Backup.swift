internal import LocalFiles
internal import Platform
package import Reporting
package import RepositoryCore
internal import RepositoryFormat
package import SnapshotTree
package import SnapshotWriting

/// Makes a snapshot of files of this machine, or of what comes through streams.
package enum Backup {
  package typealias Result = SnapshotRun.Result

  /// Throws what `SnapshotRun.run` throws. `listing` is told of each entry in the order of the walk, a directory behind
  /// its content.
  package static func run(
    _ repository: Repository, _ options: BackupOptions, progress: RunProgress, listing: EntryListing? = nil,
    report: @escaping (PathProblem) -> Void
  ) throws -> Result {
    let problems = ProblemCounter(isStrict: options.isStrict, report)
    // Before a list of files is read.
    try options.snapshot.checkWords()
    func run(_ source: some SnapshotSource) throws -> Result {
      try SnapshotRun.run(
        repository, options.snapshot, from: source, problems: problems, progress: progress, listing: listing)
    }
    if !options.streamedFiles.isEmpty { return try run(streams(options)) }
    guard !options.sources.isEmpty || options.sourceList != nil else {
      throw YesterError(.usage, "There is nothing to back up", advice: "Name at least one path.")
    }
    let plan = try SourcePlan(options) { try problems.take($0) }
    guard !plan.isEmpty else { throw problems.nothing(isExcluded: false) }
    for remark in ExcludeReach.remarks(options.ownExcludePatterns, plan) { report(remark) }
    return try run(LocalFileSource(plan, options, repository))
  }

  /// The directories above them are as they are on this machine, where they are there.
  private static func streams(_ options: BackupOptions) throws -> StreamedFiles {
    try StreamedFiles(options.streamedFiles) { path in
      guard let status = try? FileStatus(of: path), status.isDirectory else { return nil }
      var maker = EntryMaker()
      return maker.entry([], status, .directory(below: 0, listing: .zero), attributes: [])
    }
  }
}

/// Files and directories of this machine.
struct LocalFileSource: SnapshotSource {
  private let plan: SourcePlan
  private let options: BackupOptions
  private let repository: Repository

  /// `repository` is the one that is written to.
  init(_ plan: SourcePlan, _ options: BackupOptions, _ repository: Repository) {
    self.plan = plan
    self.options = options
    self.repository = repository
  }

  var names: [[UInt8]] { plan.summary() }

  func write(to writer: SnapshotWriter) throws {
    let scanIsOver = CancellationFlag()
    defer { scanIsOver.raise() }
    if writer.base == nil && options.showsProgress {
      SourceTotals.start(plan, options, repository, writer.progress, done: scanIsOver)
    }
    let scanner = DirectoryScanner(options, base: writer.base, repository: repository)
    try TreeWalk(options, scanner: scanner, writer: writer).run(plan)
  }
}
