// What the tests of restoring share: a repository in memory, and a directory on the disk to restore into.
import LocalFiles
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
@testable import Restoring
import SnapshotTree
import TestSupport

final class RestoreFixture {
  let test: TestRepository
  let repository: Repository
  private let temporary: TemporaryDirectory
  var folder: String { temporary.path }
  /// Where to restore to. It is there, and empty.
  let destination: String

  init() throws {
    test = try TestRepository()
    repository = try test.open()
    temporary = try TemporaryDirectory()
    destination = temporary.path + "/to"
    try Directory.makeAll(destination)
  }

  /// Stores a snapshot; its reader. Contents that were stored before are not stored again.
  func store(_ entries: [TestEntry], day: Int = 20_000) throws -> SnapshotReader {
    try repository.snapshot(repository.addSnapshot(day, of: entries))
  }

  func prepare(
    _ reader: SnapshotReader, path: String = "", deletes: Bool = false, protecting: [String] = [],
    listing: EntryListing? = nil
  ) throws -> Restore.Prepared {
    var options = Restore.Options()
    options.deletes = deletes
    options.protected = try ProtectedDirectories(protecting)
    return try Restore.prepare(
      reader, path: Array(path.utf8), into: destination, options, progress: RunProgress(), listing: listing)
  }

  /// What came of a restore: how it ended, which paths were reported, and what was told of, as "kind path".
  struct Result {
    var outcome = Restore.Outcome()
    var problems: [PathProblem] = []
    var events: [String] = []

    var named: [String] { problems.map { String(decoding: $0.path, as: UTF8.self) } }
  }

  @discardableResult
  func carryOut(_ prepared: Restore.Prepared, stop: CancellationFlag = CancellationFlag()) throws -> Result {
    var result = Result()
    let listing = EntryListing(isComplete: false) { event in
      result.events.append("\(event.kind) \(String(decoding: event.path, as: UTF8.self))")
    }
    result.outcome = try Restore.carryOut(prepared, progress: RunProgress(stop: stop), listing: listing) {
      result.problems.append($0)
    }
    return result
  }

  /// Plans and does all of it.
  @discardableResult
  func restore(_ reader: SnapshotReader, path: String = "", deletes: Bool = false) throws -> Result {
    try carryOut(prepare(reader, path: path, deletes: deletes))
  }

  // MARK: The destination

  func path(_ relative: String) -> [UInt8] { Array("\(destination)/\(relative)".utf8) }
  func write(_ relative: String, _ text: String) throws {
    try writeFile("\(destination)/\(relative)", Array(text.utf8))
  }
  func makeDirectory(_ relative: String) throws { try Directory.makeAll("\(destination)/\(relative)") }
  func makeLink(_ relative: String, to target: String) throws {
    try FileSystem.makeSymbolicLink(to: Array(target.utf8), path(relative), at: nil)
  }
  func status(_ relative: String) throws -> FileStatus { try FileStatus(of: path(relative)) }
  var contents: [String: String] { get throws { try treeContents(destination) } }
  /// What a restore makes on its way and takes away again.
  var temporaries: [String] {
    get throws { try contents.keys.filter { $0.split(separator: "/").last?.hasPrefix(".yester-") == true } }
  }

  /// A directory beside the destination that no restore may touch.
  func makeOutside() throws -> String {
    let outside = folder + "/outside"
    try Directory.makeAll(outside)
    try writeFile(outside + "/f", Array("precious".utf8))
    try FileSystem.setMode(Array((outside + "/f").utf8), at: nil, 0o600)
    return outside
  }
}

extension RestorePlan {
  /// The steps, as "kind path".
  var steps: [String] { actions.map { "\($0.kind.word) \(String(decoding: $0.path, as: UTF8.self))" } }
}

extension RestoreAction.Kind {
  fileprivate var word: String {
    switch self {
    case .create: "create"
    case .replace(let reason): "replace (\(reason))"
    case .setMetadata: "metadata"
    case .finishDirectory: "finish"
    case .delete: "delete"
    }
  }
}
