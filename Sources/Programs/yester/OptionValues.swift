internal import ArgumentParser
internal import RepositoryFormat

// Words of the command line that stand for values of the format, and what help says of them. (Options of these types
// have no default of their own: ArgumentParser would show its number.)

extension SnapshotKind: ExpressibleByArgument {
  package init?(argument: String) {
    guard let kind = Self.allCases.first(where: { $0.description == argument }) else { return nil }
    self = kind
  }
  package static var allValueStrings: [String] { allCases.map(\.description) }
  package static var allValueDescriptions: [String: String] {
    [
      "daily": "the regular run",
      "manual": "made by hand",
      "pre-change": "made before a change, and kept until it has been verified",
      "restore-point": "made to return to, as a rollback does",
    ]
  }
}

extension SnapshotType: ExpressibleByArgument {
  package init?(argument: String) {
    guard let type = Self.allCases.first(where: { $0.description == argument }) else { return nil }
    self = type
  }
  package static var allValueStrings: [String] { allCases.map(\.description) }
  package static var allValueDescriptions: [String: String] {
    [
      "full": "with nothing: everything is read again",
      "incremental": "with the last snapshot",
      "differential": "with the last full snapshot",
    ]
  }
}
