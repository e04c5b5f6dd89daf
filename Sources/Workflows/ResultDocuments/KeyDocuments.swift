package import Documents
package import Maintenance
internal import Platform
internal import RepositoryCore
package import RepositoryFormat
package import Workflows

/// A key: a member of the repository, with its slot.
package struct KeySlotDocument: Document {
  package let slot: KeySlots.Found
  /// Whether it has opened the repository for this run.
  package let isInUse: Bool

  package init(_ slot: KeySlots.Found, isInUse: Bool) {
    self.slot = slot
    self.isInUse = isInUse
  }

  package func writeMembers(to json: inout JSONWriter) {
    let member = slot.member
    json.field("id", slot.name)
    json.field("member", member.id.description)
    json.field("in_use", isInUse)
    json.field("state", slot.state.rawValue)
    json.field("label", member.label)
    json.field("role", member.role.description)
    json.field("hosts", strings: member.hosts)
    json.field("kind", optional: slot.readable.map(Self.kind))
    json.field("created", Timestamp(seconds: member.createdSeconds).iso8601(offset: 0))
    json.field("since_epoch", member.writers[0].since)
    json.field("until_epoch", optionalNumber: member.writers[0].end?.epoch)
    json.field("writer", Hex.encode(member.writers[0].publicKey.prefix(8)))
    if case .failure(let error)? = slot.header { json.field("error", error.message) }
  }

  /// What opens it, in one word.
  package static func kind(_ header: SlotHeader) -> String {
    switch header.lock {
    case .password: "password"
    case .keyFile: "key-file"
    }
  }
}

/// A key that was added, changed or removed.
package struct SlotChangeDocument: Document {
  package let id: String

  package init(_ id: String) { self.id = id }

  package func writeMembers(to json: inout JSONWriter) { json.field("id", id) }
}

/// New keys for all.
package struct KeyRotationDocument: Document {
  package let result: KeyRotationWorkflow.Result
  /// That in use.
  package let slot: ObjectID

  package init(_ result: KeyRotationWorkflow.Result, slot: ObjectID) {
    self.result = result
    self.slot = slot
  }

  package func writeMembers(to json: inout JSONWriter) {
    json.field("id", slot.hex)
    json.field("epoch", result.epoch)
  }
}

/// A key that was revoked, and what it has stored.
package struct RevocationDocument: Document {
  package let revocation: KeySlots.Revocation
  package let slot: KeySlots.Found

  package init(_ revocation: KeySlots.Revocation, of slot: KeySlots.Found) {
    self.revocation = revocation
    self.slot = slot
  }

  package func writeMembers(to json: inout JSONWriter) {
    json.field("id", slot.name)
    json.field("member", slot.member.id.description)
    json.field("epoch", optionalNumber: revocation.epoch)
    json.field("kept", strings: revocation.kept.map(\.id.hex))
    json.field("dropped", strings: revocation.dropped.map(\.id.hex))
  }
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
