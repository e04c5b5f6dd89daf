internal import ArgumentParser
internal import Reporting

/// Finds the command that a command line names, before ArgumentParser sees it, which says nothing of use about a command
/// that does not exist.
struct CommandNames {
  private var path: [String] = []
  private var command: any ParsableCommand.Type

  /// The same command line as ArgumentParser takes it. Error 2 when it names a command that is not ours.
  static func prepare(_ arguments: [String], of root: any ParsableCommand.Type) throws -> [String] {
    var names = CommandNames(command: root)
    return try names.prepare(arguments[...])
  }

  private init(command: any ParsableCommand.Type) { self.command = command }

  private var subcommands: [any ParsableCommand.Type] { command.configuration.subcommands }

  private mutating func prepare(_ arguments: ArraySlice<String>) throws -> [String] {
    var rest = arguments
    let leading = Self.takeCommonOptions(from: &rest)
    guard let first = rest.first else { return leading }
    if first == "version" && rest.count == 1 { return ["--version"] }
    if first == "help" { return try ["help"] + descend(rest.dropFirst()) }
    if first.hasPrefix("-") { return leading + rest }
    let below = try descend(rest)
    // "yester key help add" is "yester help key add".
    if below.count > path.count, below[path.count] == "help", !subcommands.isEmpty {
      return try ["help"] + path + descend(below.dropFirst(path.count + 1))
    }
    return path + leading + below.dropFirst(path.count)
  }

  /// Options of all commands, which other programs take before the command as well. They are put behind it.
  private static func takeCommonOptions(from rest: inout ArraySlice<String>) -> [String] {
    let withValue = ["--repository", "--repo", "-r", "--key-file", "--password-file", "--password-command"]
    let flags = ["--json", "--quiet", "-q"]
    var taken: [String] = []
    while let word = rest.first {
      if withValue.contains(word), rest.count > 1 {
        taken += rest.prefix(2)
        rest = rest.dropFirst(2)
      } else if flags.contains(word) || withValue.contains(where: { word.hasPrefix($0 + "=") })
        || (word.hasPrefix("-r") && word.count > 2)
      {
        taken.append(word)
        rest = rest.dropFirst()
      } else {
        break
      }
    }
    return taken
  }

  /// Follows the names of commands as far as there are any; gives all words.
  private mutating func descend(_ words: ArraySlice<String>) throws -> [String] {
    var rest = words
    while !subcommands.isEmpty, let word = rest.first {
      if word.hasPrefix("-") || word == "help" { break }
      guard let found = subcommands.first(where: { Self.names($0).contains(word) }) else { throw unknown(word) }
      command = found
      path.append(word)
      rest = rest.dropFirst()
    }
    return Array(words)
  }

  private static func names(_ command: any ParsableCommand.Type) -> [String] {
    [command._commandName] + command.configuration.aliases
  }

  // MARK: Suggestions

  private func unknown(_ word: String) -> YesterError {
    let title = (path + [word]).joined(separator: " ")
    let message = "There is no command \"\(title)\""
    let help = path.isEmpty ? "yester help" : "yester help " + path.joined(separator: " ")
    if path.isEmpty, let sentence = ForeignCommands.sentences[word] {
      return YesterError(.usage, message, advice: sentence)
    }
    let foreign = (path.isEmpty ? ForeignCommands.names : ForeignCommands.keyNames)[word] ?? []
    let known = foreign.compactMap(described)
    if !known.isEmpty {
      return YesterError(.usage, message, advice: "Use \(known.joined(separator: " or ")).")
    }
    let near = similar(to: word)
    if near.isEmpty {
      return YesterError(.usage, message, advice: "\"\(help)\" shows what there is.")
    }
    let quoted = near.map { "\"\((path + [$0]).joined(separator: " "))\"" }
    return YesterError(
      .usage, message, advice: "Did you mean \(quoted.joined(separator: " or "))? \"\(help)\" shows what there is.")
  }

  /// A command below the one that was found, such as `key add`, with what it does; nil when there is none.
  private func described(_ names: String) -> String? {
    var found = command
    for name in names.split(separator: " ") {
      guard let next = found.configuration.subcommands.first(where: { $0._commandName == name }) else { return nil }
      found = next
    }
    let summary = found.configuration.abstract.prefix { $0 != "." }
    let words = (path + [names]).joined(separator: " ")
    return "\"yester \(words)\" (\(summary.prefix(1).lowercased())\(summary.dropFirst()))"
  }

  /// The names that fewest mistakes in typing lead to, a few at most; otherwise those that begin like the word.
  private func similar(to word: String) -> [String] {
    let names = subcommands.map { $0._commandName }
    let distances = names.map { TypingDistance.between(word, $0) }
    let least = distances.min() ?? .max
    if least <= max(1, word.count / 3) {
      return zip(names, distances).filter { $0.1 == least }.map(\.0)
    }
    return word.count < 2 ? [] : names.filter { $0.hasPrefix(word) }
  }
}

/// How many mistakes lie between two words: letters missing, too many, wrong, or the wrong way round (the distance of
/// Damerau and Levenshtein, without edits of what was swapped).
enum TypingDistance {
  private static let wordSizeMax = 64

  static func between(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a.lowercased().utf8), Array(b.lowercased().utf8))
    if max(a.count, b.count) > wordSizeMax { return .max }
    var before: [Int] = []
    var last = Array(0...b.count)
    for i in 0..<a.count {
      var row = [i + 1]
      for j in 0..<b.count {
        var least = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { least = min(least, before[j - 1] + 1) }
        row.append(least)
      }
      (before, last) = (last, row)
    }
    return last[b.count]
  }
}
