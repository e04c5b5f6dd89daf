internal import Glibc
internal import LocalFiles
internal import Platform
internal import Reporting
internal import RepositoryCore

/// Adds up what a first backup will have to read, beside it, so that its progress has an end to count towards. Later
/// backups take the numbers of the one before. What cannot be scanned is passed over: the backup itself names it.
enum SourceTotals {
  /// Ends early when `done` is raised or the run is stopped; then no totals are set.
  static func start(
    _ plan: SourcePlan, _ options: BackupOptions, _ repository: Repository, _ progress: RunProgress,
    done: CancellationFlag
  ) {
    _ = Worker(ifThereIsRoom: "yester-totals") {
      var entries: UInt64 = 0
      var bytes: UInt64 = 0
      func count(_ status: FileStatus) {
        entries += 1
        if status.isRegular { bytes.addClamped(status.size) }
      }
      let mounts = MountTable(repository: repository)
      // Only directories wait here: a directory of a million files must not fill the memory.
      var open: [[UInt8]] = []
      plan.forEachSource { path in
        guard !done.isRaised, let status = try? FileStatus(of: path) else { return }
        if status.isDirectory { open.append(path) } else { count(status) }
      }
      while let path = open.popLast() {
        if done.isRaised || progress.stop.isRaised { return }
        guard let directory = try? Descriptor.open(path, Descriptor.directoryFlags),
          let status = try? directory.status()
        else { continue }
        mounts.meet(directory, status.device)
        if mounts.isSkipped(status.device) { continue }
        count(status)
        let prefix = path == [0x2F] ? path : path + [0x2F]
        try? Directory.forEachName(directory) { name, type in
          let below = prefix + Array(name)
          let isDirectory = type == UInt8(DT_DIR)
          if options.excludes.isExcluded(path: below[1...], isDirectory: isDirectory) { return }
          if isDirectory {
            open.append(below)
          } else if let status = try? FileStatus(of: Array(name), at: directory) {
            count(status)
          }
        }
      }
      progress.setTotals(entries: entries, bytes: bytes)
    }
  }
}
