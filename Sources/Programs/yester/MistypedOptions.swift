internal import ArgumentParser

/// Names the option that does not exist where that made something else missing: ArgumentParser complains of what is
/// missing first, so that `restore latest --too /x` would be told that it lacks `--to`.
enum MistypedOptions {
  /// As many arguments as any command needs.
  private static let missingMax = 4

  static func parse(_ arguments: [String], as root: any ParsableCommand.Type) throws -> any ParsableCommand {
    do {
      return try root.parseAsRoot(arguments)
    } catch {
      throw unknownOption(arguments, root, behind: error) ?? error
    }
  }

  /// Fills in what is missing, as often as something is, until an unknown option is all that is wrong. Parsing does
  /// nothing, so that it can be tried.
  private static func unknownOption(
    _ given: [String], _ root: any ParsableCommand.Type, behind first: any Error
  ) -> (any Error)? {
    var error = first
    var arguments = given
    for _ in 0...missingMax {
      guard root.exitCode(for: error) == .validationFailure else { return nil }
      let message = root.message(for: error)
      if message.hasPrefix("Unknown option ") { return error }
      let filling = filling(message)
      arguments.insert(contentsOf: filling, at: arguments.firstIndex(of: "--") ?? arguments.endIndex)
      do {
        _ = try root.parseAsRoot(arguments)
        return nil
      } catch let next {
        error = next
      }
    }
    return nil
  }

  /// `x` for an argument, `--to x` for an option. What a command itself finds wrong may come from a missing argument,
  /// too.
  private static func filling(_ message: String) -> [String] {
    let mark = "Missing expected argument '--"
    guard message.hasPrefix(mark) else { return ["x"] }
    return ["--" + message.dropFirst(mark.count).prefix { $0 != " " && $0 != "'" }, "x"]
  }
}
