package import Documents
package import Maintenance
internal import Platform
package import RepositoryFormat
package import Workflows

/// A key slot.
package struct KeySlotDocument: Document {
  package let slot: KeySlots.Found
  /// Whether it has opened the repository for this run.
  package let isInUse: Bool
  package let state: KeySlots.State

  package init(_ slot: KeySlots.Found, isInUse: Bool, state: KeySlots.State) {
    self.slot = slot
    self.isInUse = isInUse
    self.state = state
  }

  package func writeMembers(to json: inout JSONWriter) {
    json.field("id", slot.id.hex)
    json.field("in_use", isInUse)
    json.field("state", state.rawValue)
    switch slot.header {
    case .success(let header):
      json.field("label", header.label)
      json.field("role", header.role.description)
      json.field("kind", Self.kind(header))
      json.field("created", Timestamp(seconds: header.createdSeconds).iso8601(offset: 0))
      json.field("key_set", header.keySet.description)
      json.field("writer", Hex.encode(header.writerPublicKey.prefix(8)))
    case .failure(let error): json.field("error", error.message)
    }
  }

  /// What opens it, in one word.
  package static func kind(_ header: SlotHeader) -> String {
    switch header.lock {
    case .password: "password"
    case .keyFile: "key-file"
    }
  }
}

/// A slot that was added, changed or removed.
package struct SlotChangeDocument: Document {
  package let id: ObjectID

  package init(_ id: ObjectID) { self.id = id }

  package func writeMembers(to json: inout JSONWriter) { json.field("id", id.hex) }
}

extension RecoverySheet: Document {
  package func writeMembers(to json: inout JSONWriter) {
    json.field("repository", repository)
    json.field("repository_id", repositoryID)
    json.field("slot", slot.hex)
    json.field("key", key)
    json.field("check", check)
  }
}
