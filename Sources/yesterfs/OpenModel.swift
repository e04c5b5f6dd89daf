internal import FuseMount
internal import Platform
internal import SnapshotTree

/// Opens the repository that the options name.
func openModel(_ options: DriverOptions) throws -> any FileSystemModel {
  guard System.environment("YESTERFS_TEST_MODEL") == "1" else {
    throw DriverError("there is no yester repository in \(options.source)", .noRepository)
  }
  return MemoryModel.sample(files: Int(System.environment("YESTERFS_TEST_FILES") ?? "") ?? 20_000, largeSize: 64 << 20)
}
