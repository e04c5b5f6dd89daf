internal import ArgumentParser
internal import Platform
internal import RepositoryCore
internal import RepositoryOpening

/// Where the repository is, and what opens it: the same for every command.
struct AccessOptions: ParsableArguments {
  @Option(
    name: [.customLong("repository"), .customShort("r", allowingJoined: true)],
    help: ArgumentHelp("The repository (or YESTER_REPOSITORY); --repo is the same.", valueName: "path"),
    completion: .directory)
  var repository: String?

  @Option(name: .customLong("repo"), help: .hidden, completion: .directory)
  var repo: String?

  @Option(
    help: ArgumentHelp("The file that holds the key (or YESTER_KEY_FILE).", valueName: "file"), completion: .file())
  var keyFile: String?

  @Option(
    help: ArgumentHelp("A file whose first line is the password.", valueName: "file"), completion: .file())
  var passwordFile: String?

  @Option(help: ArgumentHelp("A command that prints the password.", valueName: "command"))
  var passwordCommand: String?

  func validate() throws {
    guard repository == nil || repo == nil else { throw ValidationError("The repository is named twice.") }
    for (name, value) in [("--key-file", keyFile), ("--password-file", passwordFile)] where value?.isEmpty == true {
      throw ValidationError("\(name) was given no name.")
    }
  }

  var access: RepositoryAccess {
    var access = RepositoryAccess(stores: LinkedStores.registry)
    access.warn = { Output.note("yester: \($0)") }
    access.askPassword = Question.password
    access.repository = repository ?? repo
    access.keyFile = keyFile
    access.passwordFile = passwordFile
    access.passwordCommand = passwordCommand
    return access
  }

  /// `uploadLimit` is in bytes a second, and lifted by `end`.
  func open(
    cacheSize: Int = 64 << 20, uploadLimit: Int? = nil, until end: CancellationFlag = CancellationFlag()
  ) throws -> Repository {
    try access.open(cacheSize: cacheSize, uploadLimit: uploadLimit, until: end)
  }
}

/// How results are shown.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Print the result as JSON, and progress as lines of JSON on stderr.")
  var json = false

  @Flag(name: [.long, .customShort("q")], help: "Print nothing but errors and warnings.")
  var quiet = false
}
