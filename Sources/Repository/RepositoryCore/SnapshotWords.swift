package import Reporting
internal import RepositoryFormat

/// What people say of a snapshot, when it is made or later, checked against the limits of the format: a record that
/// nobody can read must not be written.
package enum SnapshotWords {
  /// What is said beside the sources: texts by their names, nil where nothing is said. Error 2 when one is too long.
  package static func check(_ texts: [(name: String, text: String?)]) throws(YesterError) {
    for (name, text) in texts where text?.utf8.count ?? 0 > Limits.textSizeMax {
      throw YesterError(
        .usage, "What is given as the \(name) is too long", advice: "It can have \(Limits.textSizeMax) bytes.")
    }
  }

  /// Error 2 when there are more than `countMax`, or one is empty or too long.
  package static func check(tags: [String], countMax: Int) throws(YesterError) {
    for tag in tags where !(1...Limits.tagSizeMax).contains(tag.utf8.count) {
      throw YesterError(.usage, "A tag has 1 to \(Limits.tagSizeMax) bytes, which \"\(tag.prefix(40))\" has not")
    }
    guard tags.count <= countMax else {
      throw YesterError(.usage, "These are too many tags", advice: "Give \(countMax) at a time.")
    }
  }
}
