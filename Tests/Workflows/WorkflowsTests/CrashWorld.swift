// A repository in memory whose store crashes in the middle of what a user has started, and what has to hold afterwards.
import ChunkCodec
import FileBackup
import Maintenance
import ObjectStores
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import SnapshotWriting
import TestSupport
import Testing
import Workflows

/// What is cut off.
enum CrashedRun: String, CaseIterable, Sendable {
  case backup, removal, rotation, pruneThatRewrites, pruneThatDeletes, keyAddition, keyChange, keyRotation, keyRemoval
}

/// The repository before the run: three snapshots, of which the second has contents that no other has, and two full keys
/// where one is to be removed. Nothing of it is changed: each crash happens to a copy.
final class CrashWorld {
  private let run: CrashedRun
  private let base = MemoryStore()
  private let folder: TemporaryDirectory
  private let first = Secret.keyFile(System.random(32))
  private let second = Secret.keyFile(System.random(32))
  private var snapshots: [ObjectID] = []
  private var removed: Set<ObjectID> = []
  /// What the machine keeps, in the history that is looked at.
  private var machine: LocalFolders
  private var histories = 0

  init(_ run: CrashedRun) throws {
    self.run = run
    folder = try TemporaryDirectory()
    machine = Self.machine(folder.path, 0)
    try Directory.makeAll(folder.path + "/files")
    _ = try Repository.create(in: base, secret: first, label: "first", protection: .parity)
    var random = SeededGenerator(seed: 7)
    for number in 0..<3 {
      try writeFile(folder.path + "/files/changing", random.bytes(9000))
      try writeFile(folder.path + "/files/new-\(number)", random.bytes(3000))
      if number == 1 { try writeFile(folder.path + "/files/alone", random.bytes(9000)) }
      if number == 2 { removeTree(folder.path + "/files/alone") }
      snapshots.append(try backUp(open(base)))
    }
    try prepare()
    try writeFile(folder.path + "/files/changing", random.bytes(9000))
  }

  private func prepare() throws {
    switch run {
    case .backup, .keyAddition, .keyChange, .keyRotation: break
    case .removal: removed = [snapshots[1]]
    case .rotation: removed = Set(snapshots[..<2])
    case .pruneThatRewrites, .pruneThatDeletes:
      try remove(snapshots.remove(at: 1), open(base))
      if run == .pruneThatDeletes { try prune(open(base)) }
    case .keyRemoval: _ = try KeySlots.add(open(base), .full, second, label: "second")
    }
  }

  private static func machine(_ folder: String, _ number: Int) -> LocalFolders {
    LocalFolders(caches: "\(folder)/machine-\(number)/caches", memories: "\(folder)/machine-\(number)/memories")
  }

  private func open(_ store: any ObjectStore, by secret: Secret? = nil) throws -> Repository {
    try Repository.open(store, secret: secret ?? first, cacheSize: 1 << 20, folders: machine)
  }

  /// A copy of the repository, and a machine that knows of it what was known before.
  private func copy() throws -> MemoryStore {
    histories += 1
    let before = Self.machine(folder.path, 0)
    machine = Self.machine(folder.path, histories)
    try Directory.makeAll(machine.memories)
    for name in try Directory.names(Descriptor.open(before.memories, Descriptor.directoryFlags)) {
      let name = "/" + String(decoding: name, as: UTF8.self)
      try writeFile(machine.memories + name, readFile(before.memories + name))
    }
    return MemoryStore(copying: base)
  }

  // MARK: What users do

  private func backUp(_ repository: Repository) throws -> ObjectID {
    var options = BackupOptions()
    options.sources = [folder.path + "/files"]
    let id = try BackupWorkflow(options).run(repository, Interaction()).backup.id
    return try #require(id)
  }

  private func prune(_ repository: Repository) throws {
    _ = try Self.thoroughPrune.run(repository, Interaction())
  }

  private func remove(_ snapshot: ObjectID, _ repository: Repository) throws {
    let catalog = try SnapshotCatalog(repository)
    try Removal.run(catalog.snapshots.filter { $0.id == snapshot }, repository, force: true)
  }

  private func carryOut(_ store: any ObjectStore) throws {
    let repository = try open(store)
    switch run {
    case .backup: _ = try backUp(repository)
    case .removal: try remove(snapshots[1], repository)
    case .rotation:
      var rules = RetentionRules()
      rules.keepLast = 1
      var workflow = RotationWorkflow(rules)
      workflow.isForced = true
      workflow.prune = Self.thoroughPrune
      _ = try workflow.run(repository, Interaction())
    case .pruneThatRewrites, .pruneThatDeletes: try prune(repository)
    case .keyAddition: _ = try KeySlots.add(repository, .full, second, label: "second")
    case .keyChange: _ = try KeySlots.change(repository, to: second)
    case .keyRotation: _ = try KeyRotationWorkflow().run(repository)
    case .keyRemoval:
      let own = repository.slot
      let other = try #require(try KeySlots.list(repository).first { $0.member.slot != own })
      try KeySlots.remove(other, repository, isForced: false)
    }
  }

  // MARK: What happens to them

  /// How many changes the run makes when nothing happens.
  func countChanges() throws -> Int {
    let counting = CrashingStore(try copy())
    try carryOut(counting)
    return counting.changes
  }

  func crash(at change: Int, effective: UInt8, _ brief: CrashingStore.Brief) throws {
    let memory = try copy()
    let crashing = CrashingStore(memory, at: change, effective: effective)
    let message = errorMessage { try carryOut(crashing) }
    let place: Comment = "\(run), change \(change), \(effective), \(brief): \(message)"
    try #require(crashing.hasCrashed || message == "no error", place)
    try crashing.lose(brief)
    do {
      try lookAt(memory, isDone: message == "no error", place)
    } catch let error as YesterError {
      Issue.record("\(place)\nafterwards: \(error)")
    }
  }

  private func opens(_ memory: MemoryStore, _ secret: Secret) -> Bool { (try? open(memory, by: secret)) != nil }

  private func lookAt(_ memory: MemoryStore, isDone: Bool, _ place: Comment) throws {
    let keys = [first, second].filter { opens(memory, $0) }
    let key = try #require((run == .keyChange ? keys.last : keys.first) as Secret?, place)
    if run != .keyChange { try #require(opens(memory, first), place) }
    if isDone { try requireSuccess(memory, place) }

    let there = try ids(memory, key)
    try #require(there.isSuperset(of: Set(snapshots).subtracting(removed)), place)
    try #require(try findings(memory, key) == [], place)
    // The next runs succeed, and harm nothing.
    let new = try backUp(open(memory, by: key))
    try endProcess(memory, key)
    for _ in 0..<2 { try prune(open(memory, by: key)) }
    try #require(try ids(memory, key) == there.union([new]), place)
    try #require(try findings(memory, key) == [], place)
  }

  private func requireSuccess(_ memory: MemoryStore, _ place: Comment) throws {
    switch run {
    case .keyAddition: try #require(opens(memory, second), place)
    case .keyChange: try #require(opens(memory, second) && !opens(memory, first), place)
    case .keyRemoval: try #require(!opens(memory, second), place)
    case .backup: try #require(try ids(memory, first).count == snapshots.count + 1, place)
    case .removal, .rotation: try #require(try ids(memory, first).isDisjoint(with: removed), place)
    case .pruneThatRewrites, .pruneThatDeletes, .keyRotation: break
    }
  }

  /// The run that crashed was one of this process, which goes on: takes away by which it would keep others from reclaiming.
  private func endProcess(_ memory: MemoryStore, _ key: Secret) throws {
    for found in try Leases.list(open(memory, by: key)) where found.record?.purpose == .reclaim {
      try memory.delete(.lease(found.name))
    }
  }

  /// In one run, as where nobody else is at work.
  private static var thoroughPrune: PruneWorkflow {
    var workflow = PruneWorkflow(unusedMax: 0)
    workflow.minimumAge = 0
    return workflow
  }

  private func ids(_ memory: MemoryStore, _ key: Secret) throws -> Set<ObjectID> {
    Set(try SnapshotCatalog(open(memory, by: key)).snapshots.map(\.id))
  }

  /// What a thorough verification says.
  private func findings(_ memory: MemoryStore, _ key: Secret) throws -> [String] {
    let repository = try open(memory, by: key)
    return try VerificationWorkflow(level: .data).run(on: memory, repository, Interaction()).findings.map(\.message)
  }
}
