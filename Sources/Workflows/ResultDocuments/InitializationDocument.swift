package import Documents
internal import RepositoryFormat
package import Workflows

/// A new repository (docs/json.md, 2).
package struct InitializationDocument: Document {
  package let result: InitializationWorkflow.Result
  /// Where it is, as it was given.
  package let location: String

  package init(_ result: InitializationWorkflow.Result, location: String) {
    self.result = result
    self.location = location
  }

  package func writeMembers(to json: inout JSONWriter) {
    json.field("repository", location)
    json.field("id", result.config.id.description)
    json.field("protection", result.config.protection.rawValue)
    json.field("limitations", strings: result.limitations)
  }
}
