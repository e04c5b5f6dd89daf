import SnapshotWriting
import ChunkCodec
import DirectoryStores
import FileBackup
import Glibc
import Maintenance
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import TestSupport
import Workflows

/// A repository in a directory, and a directory of files beside it, both real and removed in the end.
final class WorkflowFixture {
  private let temporary: TemporaryDirectory
  var folder: String { temporary.path }
  let store: DirectoryStore
  let secret = Secret.keyFile(System.random(32))
  private let id: RepositoryID

  init(_ protection: Protection = .none) throws {
    temporary = try TemporaryDirectory()
    store = try DirectoryStore.create(temporary.path + "/repository")
    id = try Repository.create(in: store, secret: secret, label: "test", protection: protection).id
    try Directory.makeAll(files)
  }

  deinit { forget(id) }

  var files: String { folder + "/files" }

  /// The next repository that is opened reads everything from the store.
  func forgetCaches() { removeTree(testCaches + "/" + id.description) }

  func open(by secret: Secret? = nil) throws -> Repository {
    try Repository.open(store, secret: secret ?? self.secret, folders: testFolders)
  }

  /// Adds a key that may make backups and read none; what opens it.
  func addWriteOnlyKey() throws -> Secret {
    let secret = Secret.keyFile(System.random(32))
    _ = try KeySlots.add(open(), .writeOnly, secret, label: "write-only")
    return secret
  }

  func write(_ name: String, _ text: String) throws { try writeFile("\(files)/\(name)", Array(text.utf8)) }

  /// The content of all files by name.
  var content: [String: String] {
    get throws {
      let names = try Directory.names(Descriptor.open(files, Descriptor.directoryFlags))
      return try Dictionary(
        uniqueKeysWithValues: names.map { name in
          let path = Array(files.utf8) + [0x2F] + name
          let bytes = try Descriptor.open(path, O_RDONLY).readAll(limit: 1 << 24)
          return (String(decoding: name, as: UTF8.self), String(decoding: bytes, as: UTF8.self))
        })
    }
  }

  var snapshots: [CatalogedSnapshot] { get throws { try SnapshotCatalog(open()).snapshots } }

  var leases: Int { get throws { try Leases.list(open()).count } }

  /// Makes a snapshot of the files; its record's name.
  @discardableResult
  func backUp(_ change: (inout BackupOptions) -> Void = { _ in }) throws -> String {
    var options = BackupOptions()
    options.sources = [files]
    change(&options)
    return try BackupWorkflow(options).run(open(), Interaction()).backup.record.name
  }

  /// What a thorough verification finds.
  func findings() throws -> [String] {
    let result = try VerificationWorkflow(level: .data).run(on: store, open(), Interaction())
    return result.findings.map(\.message)
  }

  /// Overwrites a few bytes within the largest pack, which holds contents of files.
  func damageContents() throws {
    var largest: (path: String, size: UInt64) = ("", 0)
    let packs = folder + "/repository/packs"
    for name in try Directory.names(Descriptor.open(packs, Descriptor.directoryFlags)) {
      let directory = packs + "/" + String(decoding: name, as: UTF8.self)
      for pack in try Directory.names(Descriptor.open(directory, Descriptor.directoryFlags)) {
        let path = directory + "/" + String(decoding: pack, as: UTF8.self)
        let size = try FileStatus(of: path).size
        if size > largest.size { largest = (path, size) }
      }
    }
    chmod(largest.path, 0o600)
    let file = try Descriptor.open(largest.path, O_WRONLY)
    var junk = [UInt8](repeating: 0xA5, count: 64)
    pwrite(file.raw, &junk, junk.count, off_t(largest.size / 2))
  }

  /// From now on nothing can be stored, while everything can be read.
  func refuseUploads() throws {
    removeTree(folder + "/repository/tmp")
    try writeFile(folder + "/repository/tmp", [])
  }
}

/// Somebody who has started a workflow: writes down what they see, and answers and steps in as a test tells them.
final class Onlooker {
  /// What happened, in its order: the names of stages, `present`, `confirm`, `restore point`, `warn`, `report`.
  private(set) var events: [String] = []
  private(set) var warnings: [String] = []
  private(set) var intentions: [Intention] = []
  let stop = CancellationFlag()
  var answer = true
  /// Called at each event.
  var stepIn: (String) throws -> Void = { _ in }
  /// Raises the flag at this event.
  var stopsAt: String?

  var interaction: Interaction {
    var interaction = Interaction()
    interaction.stop = stop
    interaction.begin = { stage, _ in
      self.add("\(stage)")
      return { self.events.append("end of \(stage)") }
    }
    interaction.warn = {
      self.warnings.append($0)
      self.add("warn")
    }
    interaction.report = { _ in self.add("report") }
    interaction.present = {
      self.intentions.append($0)
      self.add("present")
    }
    interaction.confirm = { _ in
      self.add("confirm")
      try self.stepIn("confirm")
      return self.answer
    }
    interaction.restorePointMade = { _ in self.add("restore point") }
    return interaction
  }

  private func add(_ event: String) {
    events.append(event)
    if event == stopsAt { stop.raise() }
  }
}
