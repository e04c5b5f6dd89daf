internal import ArgumentParser
internal import ChunkCodec
internal import Glibc
internal import ObjectStores
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat
internal import RepositoryOpening

struct InitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Make a new repository.",
    discussion: """
      The repository is made in a directory that does not exist yet or is empty. With --key-file, the key is read \
      from that file, or made and written there when the file does not exist. Otherwise a password is asked for \
      (or taken from --password-file, --password-command or YESTER_PASSWORD).
      """)

  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions
  @Option(help: ArgumentHelp("A name for the first key.", valueName: "text")) var label = "first key"

  func run() throws {
    let location = try access.access.location()
    // A kind of repository that there is not should be told before anybody types a password.
    _ = try LinkedStores.registry.resolve(location)
    var madeKeyFile = false
    let usesPassword = access.passwordFile != nil || access.passwordCommand != nil
    let keyFile =
      access.keyFile ?? (usesPassword ? nil : System.environment("YESTER_KEY_FILE").flatMap { $0.isEmpty ? nil : $0 })
    if let keyFile, (try? FileStatus(of: keyFile)) == nil {
      try KeyFiles.make(keyFile)
      madeKeyFile = true
    }
    let secret = try NewSecret.ask(access.access, "Password for the new repository: ")
    let config: RepositoryConfig
    var limitations: [String] = []
    do {
      let store = try access.access.createStore { limitations.append($0) }
      config = try Repository.create(in: store, secret: secret, label: label)
    } catch {
      if madeKeyFile, let keyFile { try? FileSystem.removeFile(keyFile.pathBytes, at: nil) }
      throw error
    }
    for limitation in limitations { Output.note("yester: \(limitation)") }
    if output.json {
      Output.json {
        $0.beginObject()
        $0.field("repository", location)
        $0.field("id", config.id.description)
        $0.key("limitations")
        $0.beginArray()
        for limitation in limitations { $0.value(limitation) }
        $0.endArray()
        $0.endObject()
      }
    } else if !output.quiet {
      Output.line("Made the repository \(location), id \(config.id.description.prefix(8)).")
      if madeKeyFile, let keyFile {
        Output.line("The key is in \(keyFile). Keep a copy elsewhere: without it nobody can read the backups.")
      } else {
        Output.line("Keep the key or password safe: without it nobody can read the backups.")
      }
    }
  }
}

/// Key files that yester makes.
enum KeyFiles {
  /// Writes a new key; never over something that is there.
  static func make(_ path: String) throws {
    do throws(Errno) {
      let file = try Descriptor.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
      try file.write(Secret.newKeyFileContent())
      try file.sync()
    } catch { throw YesterError.system("Writing the key file", path, error) }
  }
}

/// Secrets that open something new.
enum NewSecret {
  /// From the options, or asked for twice.
  static func ask(_ access: RepositoryAccess, _ prompt: String) throws -> Secret {
    var quiet = access
    quiet.askPassword = nil
    let given: Secret
    do { given = try quiet.secret() } catch let error as YesterError where error.code == .usage {
      guard let typed = try type(prompt) else { throw error }
      given = typed
    }
    if case .password(let password) = given, password.isEmpty {
      throw YesterError(.usage, "An empty password protects nothing", advice: "Choose another one.")
    }
    return given
  }
  /// Typed twice at the terminal; nil when there is none.
  static func type(_ prompt: String) throws -> Secret? {
    guard let first = try Question.password(prompt) else { return nil }
    guard try Question.password("The same again: ") == first else {
      throw YesterError(.usage, "The two passwords differ", advice: "Run the command again.")
    }
    guard !first.isEmpty else {
      throw YesterError(.usage, "An empty password protects nothing", advice: "Choose another one.")
    }
    return .password(first)
  }
}
