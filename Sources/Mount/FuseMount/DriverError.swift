/// Why there is no mount: a sentence for people, and the exit status that scripts see.
package struct DriverError: Error, Equatable, CustomStringConvertible {
  /// The exit statuses of all of yester's programs.
  package enum Status: Int32, Sendable {
    case failed = 1
    case usage = 2
    case noRepository = 10
    case wrongKey = 11
    case busy = 12
    case damage = 13
    case interrupted = 130
  }

  package let message: String
  package let status: Status

  package init(_ message: String, _ status: Status = .failed) {
    self.message = message
    self.status = status
  }

  package var description: String { message }
}
