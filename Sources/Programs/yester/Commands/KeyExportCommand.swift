internal import ArgumentParser
internal import Glibc
internal import Platform
internal import RepositoryFormat
internal import ResultDocuments
internal import Workflows

struct KeyExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Print a recovery sheet with a new full key. This needs a full key.",
    discussion: """
      The sheet is plain text for one page of paper: print it, keep it safe, and delete the file. Its key has a slot \
      of its own, which "yester key remove" removes.
      """
  )

  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    try RecoverySheetWorkflow().run(access.open()) { sheet in
      if output.json { Output.json(sheet) } else { Output.line(Self.text(sheet)) }
      let isWritten = !StandardOutput.isGone && StandardOutput.exitStatus == 0
      if isWritten && !output.json { Self.printCode(sheet.key) }
      return isWritten
    }
  }

  private static func text(_ sheet: RecoverySheet) -> String {
    let location = sheet.repository
    let groups = stride(from: 0, to: 64, by: 4).map { sheet.key.dropFirst($0).prefix(4) }
    let lines = stride(from: 0, to: 16, by: 8).map { "    " + groups[$0..<($0 + 8)].joined(separator: " ") }
    return """
      YESTER RECOVERY SHEET

      Whoever has this page can read all backups in the repository.
      Keep it where you keep what is irreplaceable, not beside the computer.

        Repository  \(location)
        Id          \(sheet.repositoryID)
        Host        \(System.hostName)
        Made        \(sheet.date), key slot \(sheet.slot.short)

        Key (64 digits, only 0-9 and a-f):

      \(lines.joined(separator: "\n"))

        Check       \(sheet.check)

      How to use it

      1. Write the 64 digits without spaces on one line of a file named recovery.key.
      2. Check them; the output must begin with \(sheet.check):
           tr -d '\\n' < recovery.key | sha256sum
      3. Restore everything into a new directory:
           yester restore latest --to DIRECTORY \\
             --repository \(quoted(location)) --key-file recovery.key
         or look around first:
           yester list --repository \(quoted(location)) --key-file recovery.key
      4. Where yester is not to be had: the program Scripts/recover.py in its source code
         restores a repository with nothing but Python. It takes the same key file:
           python3 recover.py --help
         The file docs/format.md beside it describes every byte of the repository.
      """
  }

  /// As a shell takes it.
  private static func quoted(_ path: String) -> String {
    let plain = path.utf8.allSatisfy { "/._-+,:@=%".utf8.contains($0) || isalnum(CInt($0)) != 0 }
    return plain
      ? path : "'" + path.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }

  /// The key as a picture, where the program `qrencode` is installed. It gets the key through a pipe: arguments can be
  /// seen by other users.
  private static func printCode(_ hex: String) {
    let folders = (System.environment("PATH") ?? "").split(separator: ":")
    guard folders.contains(where: { Glibc.access("\($0)/qrencode", X_OK) == 0 }) else { return }
    Output.line("\n  The key as a QR code:\n")
    _ = try? ChildProcess.feed(Array(hex.utf8), to: ["qrencode", "-t", "UTF8"])
  }
}
