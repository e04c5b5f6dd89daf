internal import ArgumentParser
internal import ChunkCodec
internal import Platform
internal import Reporting
package import RepositoryFormat
internal import RepositoryOpening
internal import ResultDocuments
internal import Workflows

extension Protection: ExpressibleByArgument {}

struct InitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Make a new repository.",
    discussion: """
      The repository is made in a directory that does not exist yet or is empty. With --key-file, the key is read \
      from that file, or made and written there when the file does not exist. Otherwise a password is asked for \
      (or taken from --password-file, --password-command or YESTER_PASSWORD).

      With the protection "parity", damage of up to 64 KiB in any object is made good by whoever reads it: large \
      objects get 3 % more bytes for that, small ones a second copy. With "none", that is left to the disk or server \
      below. It cannot be changed later.
      """)

  @OptionGroup var access: AccessOptions
  @OptionGroup var output: OutputOptions
  @Option(help: ArgumentHelp("A name for the first key.", valueName: "text")) var label = "first key"

  @Option(help: "What is done so that damage heals: parity or none (default: parity in directories).")
  var protection: Protection?

  func run() throws {
    let location = try access.access.location()
    let usesPassword = access.passwordFile != nil || access.passwordCommand != nil
    let keyFile =
      access.keyFile ?? (usesPassword ? nil : System.environment("YESTER_KEY_FILE").flatMap { $0.isEmpty ? nil : $0 })
    let workflow = InitializationWorkflow(
      location: location, stores: LinkedStores.registry, keyFile: keyFile, label: label, protection: protection)
    let result = try workflow.run { try NewSecret.ask(access.access, "Password for the new repository: ") }
    for limitation in result.limitations { Output.note("yester: \(limitation)") }
    if output.json {
      Output.json(InitializationDocument(result, location: location))
    } else if !output.quiet {
      Output.line("Made the repository \(location), id \(result.config.id.description.prefix(8)).")
      if let keyFile = result.madeKeyFile {
        Output.line("The key is in \(keyFile). Keep a copy elsewhere: without it nobody can read the backups.")
      } else {
        Output.line("Keep the key or password safe: without it nobody can read the backups.")
      }
    }
  }
}

/// Secrets that open something new.
enum NewSecret {
  /// From the options, or asked for twice.
  static func ask(_ access: RepositoryAccess, _ prompt: String) throws -> Secret {
    var quiet = access
    quiet.askPassword = nil
    let given: Secret
    do throws(YesterError) {
      given = try quiet.secret()
    } catch {
      guard error.code == .usage, let typed = try type(prompt) else { throw error }
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
