package import Documents
package import RepositoryCore

/// A snapshot as annotations have left it, or would leave it.
package struct AnnotationDocument: Document {
  package let snapshot: CatalogedSnapshot
  package let isChanged: Bool
  package let isDryRun: Bool

  package init(_ snapshot: CatalogedSnapshot, isChanged: Bool, isDryRun: Bool) {
    self.snapshot = snapshot
    self.isChanged = isChanged
    self.isDryRun = isDryRun
  }

  package func writeMembers(to json: inout JSONWriter) {
    json.field("dry_run", isDryRun)
    json.field("changed", isChanged)
    SnapshotDocument(snapshot).writeMembers(to: &json)
  }
}
