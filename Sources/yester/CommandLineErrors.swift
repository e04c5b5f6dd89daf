internal import ArgumentParser
internal import Glibc
internal import RepositoryStore

/// What ArgumentParser throws: requests for help, and command lines that are wrong.
enum CommandLineErrors {
  /// Help goes to stdout and is a success; anything else to stderr, with the exit status of usage errors.
  static func exit(with error: any Error, of command: any ParsableArguments.Type) -> Never {
    let code = command.exitCode(for: error)
    let message = command.fullMessage(for: error)
    if code.isSuccess {
      Output.line(message)
      Glibc.exit(StandardOutput.exitStatus)
    }
    if !message.isEmpty { Output.note(message) }
    Glibc.exit(code == .validationFailure ? YesterError.Code.usage.rawValue : code.rawValue)
  }
}
