internal import ObjectStores
internal import ArgumentParser
internal import ChunkCodec
internal import Glibc
internal import Maintenance
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat

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
    let repository = try access.open()
    try repository.requireFullKey("export keys")
    let key = System.random(32)
    let hex = Hex.encode(key)
    let check = Hex.encode(SHA256.hash(Array(hex.utf8)).bytes.prefix(4))
    let now = Timestamp.now()
    let date = String(now.iso8601(offset: now.localOffset).prefix(10))
    let slot = try KeySlots.add(repository, .full, .keyFile(key), label: "recovery sheet \(date)")
    if output.json {
      Output.json {
        $0.beginObject()
        $0.field("repository", repository.store.location)
        $0.field("repository_id", repository.config.id.description)
        $0.field("slot", slot.hex)
        $0.field("key", hex)
        $0.field("check", check)
        $0.endObject()
      }
      return try removeUnlessWritten(slot, repository)
    }
    Output.line(Self.sheet(repository, slot: slot.short, date: date, hex: hex, check: check))
    try removeUnlessWritten(slot, repository)
    Self.printCode(hex)
  }

  /// A key that nobody has got is not left in the repository.
  private func removeUnlessWritten(_ id: ObjectID, _ repository: Repository) throws {
    if !StandardOutput.isGone && StandardOutput.exitStatus == 0 { return }
    let slots = try KeySlots.list(repository)
    try KeySlots.remove(KeySlots.find(id.hex, in: slots), among: slots, repository, isForced: false)
    throw YesterError(.failed, "The recovery sheet could not be written; its key was removed again")
  }

  private static func sheet(
    _ repository: Repository,
    slot: String,
    date: String,
    hex: String,
    check: String
  ) -> String {
    let location = repository.store.location
    let groups = stride(from: 0, to: 64, by: 4).map { hex.dropFirst($0).prefix(4) }
    let lines = stride(from: 0, to: 16, by: 8).map { "    " + groups[$0..<($0 + 8)].joined(separator: " ") }
    return """
      YESTER RECOVERY SHEET

      Whoever has this page can read all backups in the repository.
      Keep it where you keep what is irreplaceable, not beside the computer.

        Repository  \(location)
        Id          \(repository.config.id)
        Host        \(System.hostName)
        Made        \(date), key slot \(slot)

        Key (64 digits, only 0-9 and a-f):

      \(lines.joined(separator: "\n"))

        Check       \(check)

      How to use it

      1. Write the 64 digits without spaces on one line of a file named recovery.key.
      2. Check them; the output must begin with \(check):
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
