// Records that only somebody with a key can have made.
import SnapshotTree
import MountNamespace
import Platform
import RepositoryFormat
import TestSupport
import Testing

@Suite struct HostileMountTests {
  /// A mount of records without trees to speak of.
  private func withMount(_ host: String?, of records: [SnapshotRecord], _ body: (Namespace) throws -> Void) throws {
    let test = try MountedRepository()
    for record in records { try test.add(record) }
    try test.withMount(host, body)
  }

  private func record(_ name: String, host: String, below: UInt64) -> SnapshotRecord {
    var record = SnapshotRecord(root: entry("", .directory(below: below, listing: .zero)))
    record.name = name
    record.host = host
    record.counts.entries = .max
    return record
  }

  /// What records count adds up to no more than 64 bits hold, and says nothing of how long a list of files will be.
  @Test func recordsMayCountAnything() throws {
    // The most that a reader takes: the root counts as well.
    let most = Limits.snapshotEntriesMax - 1
    let records = ["20261119_0215", "20261120_0215"].map { record($0, host: "ada", below: most) }
    try withMount("ada", of: records) { (mount) throws in
      #expect(try mount.node(".yester/backup_metadata.json").size > 0)
      #expect(try mount.node(".yester/stats").size > 0)
    }
  }

  /// Who seeks in a directory may seek anywhere.
  @Test(.timeLimit(.minutes(1))) func positionsMayBeAnything() throws {
    try withMount("ada", of: [record("20261120_0215", host: "ada", below: 0)]) { mount in
      for path in ["", ".yester", ".yester/versions", ".yester/checksums", "20261120"] {
        let directory = try mount.node(path).node
        for offset: UInt64 in [1 << 32, 1 << 33, 1 << 61, .max] {
          // The record's tree is not there, which is an error where it is looked at.
          do throws(Errno) {
            try mount.list(directory, from: offset) { _, _, _ in true }
          } catch {
            #expect(error == .inputOutput)
          }
        }
      }
    }
  }

  @Test func onlyNamesBecomeDirectories() throws {
    let hosts = ["ada", "..", ".", "a/b", "", String(repeating: "h", count: 256)]
    try withMount(nil, of: hosts.map { record("20261120_0215", host: $0, below: 0) }) { mount in
      var names: [String] = []
      try mount.list(1, from: 0) { name, _, _ in
        names.append(String(decoding: name, as: UTF8.self))
        return true
      }
      #expect(names == ["ada"])
    }
  }

  /// Two snapshots of one name are told apart by a number, for which the longest name has no room.
  @Test func longNamesStayNames() throws {
    let name = "20261120_0215_" + String(repeating: "n", count: 241)
    try withMount("ada", of: [0, 1].map { record(name, host: "ada", below: $0) }) { mount in
      try mount.list(1, from: 0) { name, _, _ in
        #expect(isValidName(name))
        return true
      }
    }
  }
}
