/// Something that a run could not do for one path, or had to do differently.
package struct PathProblem: Sendable {
  package enum Kind: String, Sendable {
    /// A source that is not there or cannot be opened: nothing of it is in the snapshot.
    case missing
    /// Its content is not in the snapshot.
    case unreadable
    /// The repository has lost some of its content.
    case damaged
    /// It changed while it was read; what was stored may be a mixture.
    case changed
    /// It was gone when its turn came.
    case vanished
    /// Some of its metadata was left out.
    case metadata
    /// A directory that holds no files of the user's was not entered.
    case skipped
    /// Nothing is wrong, but the user should know.
    case remark

    /// Whether the snapshot is not what it should be.
    package var isFailure: Bool {
      switch self {
      case .missing, .unreadable, .damaged, .changed, .metadata: true
      case .vanished, .skipped, .remark: false
      }
    }
  }
  package let kind: Kind
  package let path: [UInt8]
  package let message: String
  package init(_ kind: Kind, _ path: [UInt8], _ message: String) {
    self.kind = kind
    self.path = path
    self.message = message
  }
}
