internal import Documents
internal import Glibc
internal import Platform
internal import Reporting

/// Long results on their way to stdout, in large writes. Memory does not grow with their length.
final class ResultStream {
  /// Nothing more can be written, and nobody needs to be told.
  private struct Closed: Error {}
  private static let flushSize = 1 << 16

  /// Whether a person looks at it directly: then each result comes at once, and nothing may upset the terminal.
  let isTerminal = isatty(1) != 0
  private var text: [UInt8] = []
  private var json = JSONWriter(indented: true)

  /// Runs `body` and sends what is left. An interruption becomes error 130. When nothing can be written any more, `body`
  /// ends early; that is no error here (see StandardOutput).
  static func run(_ body: (ResultStream) throws -> Void) throws {
    let stream = ResultStream()
    do {
      try body(stream)
      try stream.flush()
    } catch is Closed {
      return
    } catch is Stopped {
      throw YesterError(.interrupted, "Interrupted")
    }
  }

  func line(_ line: String) throws {
    text += line.utf8
    text.append(0x0A)
    try flushIfDue()
  }

  func bytes(_ bytes: [UInt8]) throws {
    text += bytes
    try flushIfDue()
  }

  /// The next part of one JSON document. A key and its value must come in one call.
  func json(_ build: (inout JSONWriter) throws -> Void) throws {
    try build(&json)
    if json.text.count >= Self.flushSize { text += json.drain() }
    try flushIfDue()
  }

  /// Ends the JSON document.
  func endJSON() throws {
    text += json.drain() + [0x0A]
    try flush()
  }

  private func flushIfDue() throws {
    if Termination.stop.isRaised { throw Stopped() }
    if text.count >= Self.flushSize || (isTerminal && !text.isEmpty) { try flush() }
  }

  private func flush() throws {
    defer { text.removeAll(keepingCapacity: true) }
    if !text.isEmpty && !StandardOutput.write(text) { throw Closed() }
  }
}
