package import Documents
package import Exploring

/// Two states that are compared. With millions of differences it is written in parts: what stands before them, each of
/// them, and what stands behind.
package struct ComparisonDocument: Sendable {
  /// The name of the old snapshot.
  package let old: String
  /// In the old snapshot, without a slash in front.
  package let oldPath: [UInt8]
  /// The name of the new snapshot, or `live`.
  package let new: String
  /// Without a slash in front.
  package let newPath: [UInt8]

  package init(old: String, oldPath: [UInt8], new: String, newPath: [UInt8]) {
    self.old = old
    self.oldPath = oldPath
    self.new = new
    self.newPath = newPath
  }

  /// Opens the object and the array of differences.
  package func begin(_ json: inout JSONWriter) {
    json.beginObject()
    json.field("old", old)
    json.field("old_path", [0x2F] + oldPath)
    json.field("new", new)
    json.field("new_path", [0x2F] + newPath)
    json.key("differences")
    json.beginArray()
  }

  /// Closes what `begin` has opened. `problems` is how many live files could not be compared.
  package static func end(_ counts: DifferenceCounts, problems: Int, _ json: inout JSONWriter) {
    json.endArray()
    json.field("counts", DifferenceCountsDocument(counts: counts))
    json.field("problems", problems)
    json.endObject()
  }
}

private struct DifferenceCountsDocument: Document {
  let counts: DifferenceCounts

  func writeMembers(to json: inout JSONWriter) {
    for kind in Difference.Kind.allCases { json.field(kind.rawValue, counts[kind]) }
  }
}

/// One path that is not the same in two states.
package struct DifferenceDocument: Document {
  package let difference: Difference
  /// From the root of the old snapshot, without a slash in front.
  package let path: [UInt8]

  package init(_ difference: Difference, path: [UInt8]) {
    self.difference = difference
    self.path = path
  }

  package func writeMembers(to json: inout JSONWriter) {
    json.field("change", difference.kind.rawValue)
    PathDocument(path).writeMembers(to: &json)
    json.key("differs")
    json.beginArray()
    for aspect in difference.aspects { json.value(aspect.rawValue) }
    json.endArray()
    json.field("old", optional: difference.old.map { EntryFactsDocument(facts: $0) })
    json.field("new", optional: difference.new.map { EntryFactsDocument(facts: $0) })
  }
}

private struct EntryFactsDocument: Document {
  let facts: EntryFacts

  func writeMembers(to json: inout JSONWriter) {
    json.field("type", facts.type.word)
    json.field("mode", EntryDocument.mode(facts.permissions))
    json.field("uid", facts.user)
    json.field("gid", facts.group)
    json.field("size", facts.size)
    json.field("modified", facts.modified.withNanoseconds(offset: 0))
  }
}
