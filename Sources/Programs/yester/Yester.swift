internal import ArgumentParser
internal import Glibc
internal import Platform
internal import Reporting

@main
struct Yester: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "yester",
    abstract: "Encrypted, verified, deduplicated backups that are browsed as directories.",
    discussion: """
      A repository holds snapshots of files. "yester mount" shows every snapshot as an ordinary directory; \
      restoring a file is copying it from there.
      """,
    version: ProgramVersion.text,
    groupedSubcommands: [
      CommandGroup(
        name: "Making snapshots:",
        subcommands: [InitCommand.self, BackupCommand.self]),
      CommandGroup(
        name: "Looking at snapshots:",
        subcommands: [
          ListCommand.self, ShowCommand.self, ListFilesCommand.self, FindCommand.self, DiffCommand.self,
          VersionsCommand.self, CatCommand.self, MountCommand.self, UnmountCommand.self,
        ]),
      CommandGroup(
        name: "Bringing files back:",
        subcommands: [RestoreCommand.self, RollbackCommand.self]),
      CommandGroup(
        name: "Keeping the repository:",
        subcommands: [
          StatusCommand.self, VerifyCommand.self, AnnotateCommand.self, RotateCommand.self, RemoveCommand.self,
          PruneCommand.self, RepairCommand.self, KeyCommand.self,
        ]),
    ])

  /// Errors become one sentence on stderr and a fixed exit status; ArgumentParser's own (usage, help) are its own.
  static func main() {
    Termination.prepare()
    do {
      var command = try MistypedOptions.parse(CommandNames.prepare(System.arguments, of: Self.self), as: Self.self)
      CommandLineErrors.requireWork(command, of: Self.self)
      try command.run()
    } catch {
      Output.exit(with: error, of: Self.self)
    }
    Glibc.exit(StandardOutput.exitStatus)
  }
}
