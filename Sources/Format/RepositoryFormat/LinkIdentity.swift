internal import Platform

/// Which file an entry is a name of, within one snapshot and one process: its link group, and everything that is said of
/// it but the name. Names of one file agree in all of that, since a writer states the file once. Where an entry of the
/// same group says something else it is a file of its own, whatever its writer meant.
package struct LinkIdentity: Hashable, Sendable {
  package let group: UInt64
  /// Keyed by the process, so that nobody can prepare two entries that seem to agree.
  private let facts: Int

  fileprivate init(_ group: UInt64, _ entry: Entry) {
    self.group = group
    var hasher = Hasher()
    hasher.combine(entry.permissions)
    hasher.combine(entry.owner)
    hasher.combine(entry.modified)
    hasher.combine(entry.changed)
    hasher.combine(entry.born)
    hasher.combine(entry.linkCount)
    hasher.combine(entry.sourceInode)
    hasher.combine(entry.isIncomplete)
    for attribute in entry.attributes {
      hasher.combine(attribute.name)
      hasher.combine(attribute.value)
    }
    hasher.combine(entry.body)
    facts = hasher.finalize()
  }
}

extension Entry {
  /// Nil for what has one name, and for directories, which never have several.
  package var link: LinkIdentity? {
    guard let linkGroup, !isDirectory else { return nil }
    return LinkIdentity(linkGroup, self)
  }
}
