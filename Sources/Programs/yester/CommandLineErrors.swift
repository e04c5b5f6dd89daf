internal import ArgumentParser
internal import Glibc
internal import Reporting

/// What ArgumentParser throws: requests for help, and command lines that are wrong.
enum CommandLineErrors {
  /// Only a command with others below it was given, which does nothing by itself: error 2, behind its help.
  static func requireWork(_ command: any ParsableCommand, of root: any ParsableCommand.Type) {
    if type(of: command).configuration.subcommands.isEmpty { return }
    Output.note(shortened(root.helpMessage(for: type(of: command))))
    Output.note("yester: No command was given.")
    Glibc.exit(YesterError.Code.usage.rawValue)
  }

  /// Help goes to stdout and is a success; anything else to stderr, with the exit status of usage errors.
  static func exit(with error: any Error, of command: any ParsableArguments.Type) -> Never {
    let code = command.exitCode(for: error)
    let message = shortened(command.fullMessage(for: error))
    if code.isSuccess {
      Output.line(message)
      Glibc.exit(StandardOutput.exitStatus)
    }
    if !message.isEmpty { Output.note(sentence(message)) }
    Glibc.exit(code == .validationFailure ? YesterError.Code.usage.rawValue : code.rawValue)
  }

  /// The first line as that of all errors.
  private static func sentence(_ message: String) -> String {
    let mark = "Error: "
    guard message.hasPrefix(mark) else { return message }
    let first = message.dropFirst(mark.count).prefix { $0 != "\n" }
    let end = first.last.map { ".?!".contains($0) } == true ? "" : "."
    return "yester: \(first)\(end)\(message.dropFirst(mark.count + first.count))"
  }

  /// Makes `[<options>]` of all that may be left out in the line that shows how a command is used.
  private static func shortened(_ message: String) -> String {
    let lines = message.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      line.lowercased().hasPrefix("usage: ") ? withoutOptions(line) : String(line)
    }
    return lines.joined(separator: "\n")
  }

  private static func withoutOptions(_ usage: Substring) -> String {
    var needed = ""
    var rest = usage
    while let character = rest.first {
      if rest.hasPrefix(" [-") {
        rest = behindBrackets(rest.dropFirst())
      } else {
        needed.append(character)
        rest = rest.dropFirst()
      }
    }
    let hidden = " <options>"
    if needed.hasSuffix(hidden) { needed.removeLast(hidden.count) }
    return needed == usage ? needed : needed + " [<options>]"
  }

  /// What follows the bracket that closes the first one; there may be others between them, in the names of values.
  private static func behindBrackets(_ text: Substring) -> Substring {
    var depth = 0
    for (index, character) in zip(text.indices, text) {
      if character == "[" { depth += 1 }
      if character == "]" { depth -= 1 }
      if depth == 0 { return text[text.index(after: index)...] }
    }
    return ""
  }
}
