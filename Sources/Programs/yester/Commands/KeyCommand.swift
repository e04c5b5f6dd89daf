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
      A repository has one or more key slots. Each is opened by a password or a key file of its own, and is either \
      full or write-only: a write-only key makes backups and cannot read any.
      """,
    subcommands: [
      KeyListCommand.self, KeyAddCommand.self, KeyRemoveCommand.self, KeyChangePasswordCommand.self,
      KeyExportCommand.self, KeyRotateCommand.self,
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
    abstract: "List the key slots.",
    discussion: """
      An asterisk marks the slot that opened the repository for this command. An outdated slot cannot open what was \
      written since the keys were rotated.
      """
  )

  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let repository = try access.open()
    let slots = try KeySlots.list(repository)
    guard output.json else { return printText(slots, repository) }
    Output.json(
      slots.map {
        KeySlotDocument(
          $0, isInUse: $0.id == repository.slot, state: KeySlots.state($0, among: slots, repository))
      })
  }

  private func printText(_ slots: [KeySlots.Found], _ repository: Repository) {
    var rows = [["", "ID", "ROLE", "OPENED BY", "CREATED", "KEYS", "LABEL"]]
    for slot in slots {
      let mark = slot.id == repository.slot ? "*" : ""
      switch slot.header {
      case .success(let header):
        let created = Timestamp(seconds: header.createdSeconds)
        rows.append([
          mark, slot.id.short, header.role.description, KeySlotDocument.kind(header),
          created.iso8601(offset: created.localOffset),
          KeySlots.state(slot, among: slots, repository).rawValue, EntryText.text(header.label),
        ])
      case .failure(let error): rows.append([mark, slot.id.short, "-", "-", "-", "unusable", error.message])
      }
    }
    Output.table(rows)
  }
}

/// What commands say that change slots.
struct SlotReport {
  static func show(_ output: OutputOptions, _ id: ObjectID, _ text: String) {
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
  @Option(help: ArgumentHelp("A name for it, for people.", valueName: "text")) var label = ""
  @OptionGroup var secret: NewSecretOptions
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard label.utf8.count <= Limits.labelSizeMax else {
      throw ValidationError("--label takes at most \(Limits.labelSizeMax) bytes.")
    }
  }

  func run() throws {
    let repository = try access.open()
    try repository.requireFullKey("add keys")
    try secret.use { secret in
      let role: KeyRole = writeOnly ? .writeOnly : .full
      let id = try KeySlots.add(repository, role, secret, label: label)
      SlotReport.show(output, id, "Added the \(role) key slot \(id.short).")
    }
  }
}

struct KeyRemoveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove",
    abstract: "Remove a key or password. This needs a full key.",
    discussion: """
      The last full key slot is never removed, nor one that alone holds some of the keys, with or without --force: \
      nobody could read the backups any more. Whoever has a copy of a removed slot and its key can still read what \
      was stored up to now; "yester key rotate" makes new keys for what comes.
      """
  )

  @Argument(help: "The slot's id, or the beginning of it.") var id: String
  @Flag(help: "Remove it even if it is the slot in use, or damaged.") var force = false
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let repository = try access.open()
    let slots = try KeySlots.list(repository)
    let slot = try KeySlots.find(id, in: slots)
    try KeySlots.remove(slot, repository, isForced: force)
    SlotReport.show(output, slot.id, "Removed the key slot \(slot.id.short).")
  }
}

struct KeyChangePasswordCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "change-password",
    abstract: "Give the key slot in use another password or key file.",
    discussion: "What opened it until now opens it no more. Label and role stay."
  )

  @OptionGroup var secret: NewSecretOptions
  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let repository = try access.open()
    try secret.use { secret in
      let id = try KeySlots.change(repository, to: secret)
      SlotReport.show(output, id, "The slot has a new secret; its id is now \(id.short).")
    }
  }
}

struct KeyRotateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rotate",
    abstract: "Make new keys for what is written from now on. This needs a full key.",
    discussion: """
      The password or key file in use stays and opens both the old and the new keys. Every other key slot becomes \
      outdated and stops working with the next backup: remove and add it again.
      """
  )

  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let access = access.access
    let store = try access.store()
    // A wrong path should be told before anybody types a password.
    _ = try Repository.config(of: store)
    let secret = try access.secret()
    let repository = try Repository.open(store, secret: secret)
    let result = try KeyRotationWorkflow().run(repository, secret)
    SlotReport.show(
      output, result.slot, "New keys were made. The key slot in use now has the id \(result.slot.short).")
    let others = result.outdatedSlots
    if others > 0 && !output.quiet {
      Output.note(
        """
        yester: \(others == 1 ? "One other key slot stops" : "\(others) other key slots stop") working with the next \
        backup, as \(others == 1 ? "it" : "they") cannot open what is written from now on ("yester key list" shows \(others == 1 ? "it" : "them") as outdated). Remove \
        and add \(others == 1 ? "it" : "them") again with "yester key remove" and "yester key add".
        """
      )
    }
  }
}
