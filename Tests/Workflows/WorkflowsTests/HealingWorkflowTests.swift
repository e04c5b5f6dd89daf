import ChunkCodec
import Glibc
import Maintenance
import ObjectStores
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing
import Workflows

/// A repository with a large pack and small objects, whose files the tests damage.
private final class Damaged {
  let fixture: WorkflowFixture
  let files: [String: [UInt8]]
  private let root: String

  init() throws {
    fixture = try WorkflowFixture(.parity)
    root = fixture.folder + "/repository"
    var random = SeededGenerator()
    for number in 0..<3 { try writeFile("\(fixture.files)/large\(number)", random.bytes(200_000)) }
    try fixture.write("small", "of the first day")
    try fixture.backUp()
    try fixture.write("small", "of the second day")
    try fixture.backUp()
    files = try Self.read(root)
  }

  /// All objects but leases, by their path.
  private static func read(_ root: String) throws -> [String: [UInt8]] {
    var out: [String: [UInt8]] = [:]
    var folders = [""]
    while let folder = folders.popLast() {
      for name in try Directory.names(Descriptor.open(root + folder, Descriptor.directoryFlags)) {
        let path = folder + "/" + String(decoding: name, as: UTF8.self)
        if ["/tmp", "/leases", "/reserve"].contains(path) { continue }
        if try FileStatus(of: root + path).isDirectory {
          folders.append(path)
        } else {
          out[path] = try Descriptor.open(root + path).readAll(limit: 1 << 26)
        }
      }
    }
    return out
  }

  /// Where it is: the store may have it open.
  func write(_ path: String, _ bytes: [UInt8]) throws {
    chmod(root + path, 0o600)
    try writeFile(root + path, bytes)
  }

  func remove(_ path: String) { unlink(root + path) }

  var now: [String: [UInt8]] { get throws { try Self.read(root) } }

  /// Whether all objects are as they were; a verification may have added a note.
  var isWhole: Bool {
    get throws {
      let now = try now
      return files.allSatisfy { now[$0.key] == $0.value }
    }
  }

  func verify(_ level: Verify.Level, repairs: Bool = false) throws -> VerificationWorkflow.Result {
    fixture.forgetCaches()
    let repository = level == .packs ? nil : try fixture.open()
    return try VerificationWorkflow(level: level, repairs: repairs).run(on: fixture.store, repository, Interaction())
  }

  func isNamed(_ path: String, by result: VerificationWorkflow.Result) -> Bool {
    let object = path.hasPrefix("/copies/") ? String(path.dropFirst(8)) : String(path.dropFirst())
    return result.findings.contains { $0.message.contains(object) }
  }
}

private func damages(_ bytes: [UInt8], _ random: inout SeededGenerator) -> [(String, [UInt8])] {
  let width = min(bytes.count, 64 << 10)
  var out: [(String, [UInt8])] = [("cut", Array(bytes.dropLast(width)))]
  // The version of the format and the id of the key set: what looks like another one is damage as well.
  for offset in [8, 36] where offset < bytes.count {
    var other = bytes
    other[offset] ^= 2
    out.append(("flip at \(offset)", other))
  }
  var starts = Set([0, (bytes.count - width) / 2, bytes.count - width])
  if bytes.count > width { starts.insert(random.below(bytes.count - width)) }
  for start in starts {
    var other = bytes
    other.replaceSubrange(start..<(start + width), with: random.bytes(width))
    out.append(("garbage from \(start)", other))
    other.replaceSubrange(start..<(start + width), with: repeatElement(0, count: width))
    out.append(("zeros from \(start)", other))
    other = bytes
    other[start] ^= 1
    out.append(("flip at \(start)", other))
  }
  return out
}

@Suite struct HealingWorkflowTests {
  /// The whole: each object, large and small, first and second copy.
  @Test func noDamageOfOneObjectTakesAnythingAway() throws {
    var random = SeededGenerator()
    let damaged = try Damaged()
    #expect(damaged.files.keys.filter { $0.hasPrefix("/packs/") }.count == 4)
    #expect(damaged.files.contains { $0.key.hasPrefix("/packs/") && $0.value.count > 600_000 })
    for (path, bytes) in damaged.files.sorted(by: { $0.key < $1.key }) {
      for (what, other) in damages(bytes, &random) {
        let hint = Comment(rawValue: "\(path): \(what), YESTER_TEST_SEED=\(SeededGenerator.seed)")
        try damaged.write(path, other)
        // Everything can be read.
        let read = try damaged.verify(.data)
        #expect(read.counts.snapshots == 2, hint)
        #expect(read.findings.allSatisfy { $0.message.contains("verify --repair") }, hint)
        // It is told, and mended.
        let told = try damaged.verify(.packs)
        #expect(told.failure?.code == .damaged && damaged.isNamed(path, by: told), hint)
        #expect(try damaged.now[path] == other, "nothing is written without being asked for")
        let mended = try damaged.verify(.packs, repairs: true)
        #expect(mended.counts.findings == 0 && mended.counts.mended == 1 && mended.failure == nil, hint)
        #expect(try damaged.isWhole, hint)
      }
    }
    #expect(try damaged.verify(.packs).findings.isEmpty)
    #expect(try damaged.verify(.data).findings.isEmpty)
  }

  @Test func whatReadingMeetsIsMendedAtEveryLevel() throws {
    let damaged = try Damaged()
    for (path, bytes) in damaged.files.sorted(by: { $0.key < $1.key }) where !path.hasPrefix("/copies/") {
      var other = bytes
      other[bytes.count / 3] ^= 0x10
      try damaged.write(path, other)
      let result = try damaged.verify(.data, repairs: true)
      #expect(result.counts.mended == 1 && result.failure == nil, "\(path)")
      #expect(try damaged.isWhole)
    }
  }

  /// What no reading meets is mended as well, at whatever level.
  @Test func secondCopiesAreMendedAtEveryLevel() throws {
    let damaged = try Damaged()
    for (path, bytes) in damaged.files where path.hasPrefix("/copies/") {
      var other = bytes
      other[bytes.count / 2] ^= 1
      try damaged.write(path, other)
    }
    let result = try damaged.verify(.structure, repairs: true)
    #expect(result.counts.mended == damaged.files.keys.count { $0.hasPrefix("/copies/") } && result.failure == nil)
    #expect(try damaged.isWhole)
  }

  @Test func smallObjectsThatAreMissingComeBack() throws {
    let damaged = try Damaged()
    for (path, bytes) in damaged.files where bytes.count < 1 << 18 {
      damaged.remove(path)
      let told = try damaged.verify(.packs)
      // A copy alone is missing after an interrupted run as well, and nothing is damaged then.
      let isCopy = path.hasPrefix("/copies/")
      #expect((told.failure != nil) == !isCopy && damaged.isNamed(path, by: told), "\(path)")
      #expect(try damaged.verify(.packs, repairs: true).failure == nil)
      #expect(try damaged.isWhole)
    }
  }

  @Test func aLargePackThatIsMissingIsLost() throws {
    let damaged = try Damaged()
    let (path, _) = try #require(damaged.files.first { $0.value.count > 600_000 })
    damaged.remove(path)
    #expect(try damaged.verify(.data, repairs: true).failure?.code == .damaged)
  }

  @Test func whatIsTooMuchIsNamedAndLeftAlone() throws {
    var random = SeededGenerator()
    let damaged = try Damaged()
    for (path, bytes) in damaged.files where path.hasPrefix("/packs/") {
      let copy = "/copies" + path
      let others = [path: random.bytes(bytes.count), copy: damaged.files[copy].map { random.bytes($0.count) }]
      for (path, other) in others { if let other { try damaged.write(path, other) } }
      let result = try damaged.verify(.packs, repairs: true)
      #expect(result.failure?.code == .damaged && damaged.isNamed(path, by: result))
      #expect(try damaged.now[path] == others[path])
      for (path, other) in others where other != nil { try damaged.write(path, try #require(damaged.files[path])) }
    }
  }

  @Test func aBackupAndARestoreGoOnAndTellIt() throws {
    let damaged = try Damaged()
    for (path, bytes) in damaged.files where !path.hasPrefix("/copies/") {
      var other = bytes
      other[bytes.count / 2] ^= 1
      try damaged.write(path, other)
    }
    damaged.fixture.forgetCaches()
    let told = Monitor<[String]>([])
    let repository = try Repository.open(damaged.fixture.store, secret: damaged.fixture.secret, folders: testFolders) {
      line in told.update { $0.append(line) }
    }
    let result = try VerificationWorkflow(level: .data).run(on: damaged.fixture.store, repository, Interaction())
    #expect(result.counts.snapshots == 2)
    let lines = told.withLock { $0 }
    for path in damaged.files.keys where !path.hasPrefix("/copies/") && !path.hasPrefix("/keys/") {
      #expect(lines.filter { $0.contains(String(path.dropFirst())) }.count == 1, "\(path)")
    }
    // One run mends them all.
    #expect(try damaged.verify(.packs, repairs: true).failure == nil)
    #expect(try damaged.isWhole)
  }
}
