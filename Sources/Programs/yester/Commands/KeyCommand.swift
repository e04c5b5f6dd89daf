internal import ArgumentParser
internal import ChunkCodec
internal import Maintenance
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat
internal import RepositoryOpening
internal import ResultDocuments
internal import Workflows

struct KeyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "key",
    abstract: "Manage the keys and passwords that open the repository.",
    discussion: """
      A repository has one or more keys. Each is opened by a password or a key file of its own, and is either full or \
      write-only: a write-only key makes backups and cannot read any. Every change of the keys begins a new epoch, which \
      full keys sign, and in which only the keys that it names open anything.
      """,
    subcommands: [
      KeyListCommand.self, KeyAddCommand.self, KeyRemoveCommand.self, KeyChangePasswordCommand.self,
      KeyExportCommand.self, KeyRotateCommand.self, KeyRevokeCommand.self, KeyDropEpochCommand.self,
    ]
  )
}

/// Where a new secret comes from.
struct NewSecretOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The key file for the new key; a new key is made and written there when the file does not exist.",
      valueName: "file"
    ),
    completion: .file()
  )
  var newKeyFile: String?

  @Option(help: ArgumentHelp("A file whose first line is the new password.", valueName: "file"), completion: .file())
  var newPasswordFile: String?

  func validate() throws {
    guard newKeyFile == nil || newPasswordFile == nil else {
      throw ValidationError("--new-key-file and --new-password-file exclude each other.")
    }
  }

  /// Gives the new secret to `body`, asking for it when no option says where it is. A key file that was made for it
  /// is removed when that fails.
  func use(_ body: (Secret) throws -> Void) throws {
    var access = RepositoryAccess(stores: LinkedStores.registry)
    access.warn = { Output.note("yester: \($0)") }
    access.keyFile = newKeyFile
    access.passwordFile = newPasswordFile
    if newKeyFile == nil && newPasswordFile == nil { return try body(Self.ask()) }
    guard let newKeyFile else { return try body(NewSecret.ask(access, "")) }
    let (_, wasMade) = try KeyFile.withFile(at: newKeyFile) { try body(NewSecret.ask(access, "")) }
    if wasMade { Output.note("The new key is in \(newKeyFile). Keep a copy elsewhere.") }
  }

  private static func ask() throws -> Secret {
    if let typed = try NewSecret.type("The new password: ") { return typed }
    throw YesterError(
      .usage,
      "No new key or password was given",
      advice: "Use --new-key-file or --new-password-file, or run the command at a terminal."
    )
  }
}

struct KeyListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List the keys.",
    discussion: """
      An asterisk marks the key that opened the repository for this command. A key whose slot is damaged or missing is \
      "unusable"; copy it back from a second copy of the repository, or remove it.
      """
  )

  @Flag(help: "Keys that were removed or revoked, too.") var all = false
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let repository = try access.open()
    let slots = try KeySlots.list(repository, isComplete: all)
    guard output.json else { return printText(slots, repository) }
    Output.json(slots.map { KeySlotDocument($0, isInUse: $0.member.id == repository.keyring.member) })
  }

  private func printText(_ slots: [KeySlots.Found], _ repository: Repository) {
    let areHostsNamed = slots.contains { !$0.member.hosts.isEmpty }
    var rows = [["", "ID", "ROLE", "OPENED BY", "CREATED", "STATE"] + (areHostsNamed ? ["HOSTS"] : []) + ["LABEL"]]
    for slot in slots {
      let created = Timestamp(seconds: slot.member.createdSeconds)
      rows.append(
        [
          slot.member.id == repository.keyring.member ? "*" : "", slot.shortName, slot.member.role.description,
          slot.readable.map(KeySlotDocument.kind) ?? "-", created.iso8601(offset: created.localOffset),
          slot.state.rawValue,
        ] + (areHostsNamed ? [slot.member.hosts.isEmpty ? "any" : slot.member.hosts.joined(separator: ", ")] : [])
          + [EntryText.text(slot.member.label)])
    }
    Output.table(rows)
    if !output.quiet { Output.line("Epoch \(repository.keyring.epoch.number).") }
  }
}

/// What commands say that change slots.
struct SlotReport {
  static func show(_ output: OutputOptions, _ id: String, _ text: String) {
    if output.json {
      Output.json(SlotChangeDocument(id))
    } else if !output.quiet {
      Output.line(text)
    }
  }
}

struct KeyAddCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add",
    abstract: "Add a key or password. This needs a full key."
  )

  @Flag(help: "The new key may make backups, and cannot read any.") var writeOnly = false
  @Option(
    help: ArgumentHelp(
      "A host whose snapshots a write-only key may make; several are possible (default: any).", valueName: "name"))
  var host: [String] = []
  @Option(help: ArgumentHelp("A name for it, for people.", valueName: "text")) var label = ""
  @OptionGroup var secret: NewSecretOptions
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard label.utf8.count <= Limits.labelSizeMax else {
      throw ValidationError("--label takes at most \(Limits.labelSizeMax) bytes.")
    }
    guard host.isEmpty || writeOnly else {
      throw ValidationError("--host is for a write-only key: a full key speaks for all hosts.")
    }
    guard host.count <= Limits.memberHostsMax, host.allSatisfy({ (1...Limits.hostSizeMax).contains($0.utf8.count) })
    else {
      throw ValidationError(
        "--host takes names of 1 to \(Limits.hostSizeMax) bytes, at most \(Limits.memberHostsMax) of them.")
    }
  }

  func run() throws {
    let repository = try access.open()
    try repository.requireFullKey("add keys")
    try secret.use { secret in
      let role: KeyRole = writeOnly ? .writeOnly : .full
      let id = try KeySlots.add(repository, role, secret, label: label, hosts: host)
      SlotReport.show(output, id.hex, "Added the \(role) key \(id.short).")
    }
  }
}

struct KeyRemoveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove",
    abstract: "Remove a key or password. This needs a full key.",
    discussion: """
      The last full key is never removed, with or without --force: nobody could read the backups any more. What the key \
      has stored counts as before; what comes under its name afterwards counts for nothing. Whoever has a copy of a \
      removed key's slot can still read what was stored up to now; "yester key rotate" makes new keys for what comes. \
      For a key that was stolen there is "yester key revoke".
      """
  )

  @Argument(help: "The key's id, or the beginning of it, or its label.") var id: String
  @Flag(help: "Remove it even if it is the key in use, or if there are records that cannot be read.") var force = false
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let repository = try access.open()
    let slot = try KeySlots.find(id, in: KeySlots.list(repository))
    try KeySlots.remove(slot, repository, isForced: force)
    SlotReport.show(output, slot.name, "Removed the key \(slot.shortName).")
  }
}

struct KeyChangePasswordCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "change-password",
    abstract: "Give a key another password or key file. This needs a full key.",
    discussion: """
      What opened it until now opens it no more. Label and role stay. Whoever knows the old password and has an old copy \
      of the repository can still open that copy, and what is written with the same keys; "yester key rotate" makes new \
      ones.
      """
  )

  @Option(help: ArgumentHelp("The key to change: its id or label (default: the one in use).", valueName: "key"))
  var key: String?
  @OptionGroup var secret: NewSecretOptions
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let repository = try access.open()
    try repository.requireFullKey("change what opens a key")
    let member = try key.map { try KeySlots.find($0, in: KeySlots.list(repository)).member.id }
    try secret.use { secret in
      let id = try KeySlots.change(repository, to: secret, of: member)
      SlotReport.show(output, id.hex, "The key has a new secret; its id is now \(id.short).")
    }
  }
}

struct KeyRotateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rotate",
    abstract: "Make new keys for what is written from now on. This needs a full key.",
    discussion: """
      Everybody's password or key file stays, and opens both the old and the new keys: nobody has to do anything. What \
      was stolen of the old keys reads and writes nothing that comes. The next backup stores everything again, since \
      pieces under the old keys are not shared with those under the new ones. Backups that are at work meanwhile fail, \
      and are to be run again.
      """
  )

  @Flag(help: "Rotate even if there are records that cannot be read, which would count for nothing afterwards.")
  var force = false
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let repository = try access.open()
    var workflow = KeyRotationWorkflow()
    workflow.isForced = force
    let result = try workflow.run(repository)
    if output.json {
      Output.json(KeyRotationDocument(result, slot: repository.slot))
    } else if !output.quiet {
      Output.line("New keys were made, with epoch \(result.epoch). Every password and key file stays as it is.")
    }
  }
}
