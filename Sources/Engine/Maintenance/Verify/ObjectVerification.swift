internal import ChunkCodec
package import ObjectStores
internal import Platform
package import Reporting
internal import RepositoryCore
internal import RepositoryFormat

/// Verification of objects as such, and mending them. No key is needed for it.
extension Verify {
  /// Verifies every object, and every second copy, against its name. With `repairs` what can be made good is written
  /// anew.
  package static func packs(
    _ store: any ObjectStore, repairs: Bool = false, progress: RunProgress, report: @escaping (Finding) -> Void
  ) throws -> Result {
    let run = ObjectVerification(store, repairs: repairs, progress, report)
    try run.verifyAll()
    var result = run.result
    // What was mended is sound again.
    for finding in try EpochVerification.findings(store) {
      result.findings += 1
      report(Finding(message: finding))
    }
    return result
  }

  /// Tells of what a run has met and made good while it read, and with `repairs` writes it anew. The counts are added to
  /// `result`.
  package static func mendMet(
    _ store: any ObjectStore, repairs: Bool, _ result: inout Result, report: @escaping (Finding) -> Void
  ) throws {
    guard let healing = store.healing else { return }
    let mending = Mending(healing, repairs: repairs, report)
    for (key, kind) in healing.log.objects.sorted(by: { $0.key.path < $1.key.path }) {
      try mending.handle(key, kind == .missing ? .missing : .damaged, .mendable)
    }
    result.findings += mending.findings
    result.mended += mending.mended
  }
}

/// What is wrong with an object, in words.
private enum ObjectFault: String {
  case damaged = "is damaged: its bytes do not fit its name"
  case differs = "is damaged: its second copy has other bytes"
  case missing = "is missing"
  case copyIsDamaged = "has a damaged second copy"
  /// A run that ends between an object and its copy leaves this. Nothing is lost by it, nor damaged.
  case lacksCopy = "has no second copy, as after an interrupted run"
}

/// Mends objects, or says that it can be done, and counts.
private final class Mending {
  private let healing: ProtectedStore?
  private let repairs: Bool
  private let report: (Verify.Finding) -> Void
  private(set) var findings: UInt64 = 0
  private(set) var mended: UInt64 = 0

  init(_ healing: ProtectedStore?, repairs: Bool, _ report: @escaping (Verify.Finding) -> Void) {
    self.healing = healing
    self.repairs = repairs
    self.report = report
  }

  func handle(_ key: ObjectKey, _ fault: ObjectFault, _ condition: ProtectedStore.Condition) throws(YesterError) {
    if condition == .sound { return }
    let what = "the object \(key) \(fault.rawValue)"
    if repairs, condition != .lost, try healing?.mend(key) == true {
      mended += 1
      report(Verify.Finding(message: what + "; it was mended", isMended: true))
      return
    }
    if fault != .lacksCopy { findings += 1 }
    let advice = condition == .lost ? "" : "; \"yester verify --repair\" mends it"
    report(Verify.Finding(message: what + advice))
  }
}

private final class ObjectVerification {
  private typealias Listed = [(key: ObjectKey, size: UInt64)]

  private let store: any ObjectStore
  private let progress: RunProgress
  private let mending: Mending
  private let buffer = Bytes(capacity: 1 << 20)
  private let hash = SHA256()
  private var counts = Verify.Result()

  init(
    _ store: any ObjectStore, repairs: Bool, _ progress: RunProgress, _ report: @escaping (Verify.Finding) -> Void
  ) {
    self.store = store
    self.progress = progress
    mending = Mending(store.healing, repairs: repairs, report)
  }

  var result: Verify.Result {
    var result = counts
    result.findings = mending.findings
    result.mended = mending.mended
    return result
  }

  private static let folders = ObjectFolder.allCases.filter { $0 != .leases }

  func verifyAll() throws {
    var objects: Listed = []
    for folder in Self.folders {
      try store.list(folder) { objects.append((.named($0, in: folder), $1)) }
    }
    progress.begin(.verify, entries: UInt64(objects.count), bytes: objects.reduce(0) { $0 + $1.size })
    if store.healing != nil { try check(.config, size: 0) }
    for (key, size) in objects {
      try progress.throwIfStopped()
      try check(key, size: size)
      counts.objects += 1
      counts.bytes += size
      progress.add(entries: 1)
    }
    try findLost(Set(objects.map(\.key)))
  }

  private func check(_ key: ObjectKey, size: UInt64) throws {
    let isProven = try key.contentID.map { try digest(key, size) == $0 } ?? false
    guard let healing = store.healing else {
      if key.contentID != nil, !isProven { try mending.handle(key, .damaged, .lost) }
      return
    }
    let condition = try healing.condition(of: key, size: size, isProven: isProven)
    // Somebody may have deleted it since it was listed.
    if condition == .sound { return }
    let isThere = try store.size(key) != nil
    if !isThere, key != .config { return }
    let fault: ObjectFault
    if !isThere {
      fault = .missing
    } else if condition == .lacksCopy {
      fault = try store.size(.copy(of: key)) == nil ? .lacksCopy : .copyIsDamaged
    } else {
      fault = key.contentID == nil ? .differs : .damaged
    }
    try mending.handle(key, fault, condition)
  }

  /// Nil when the object cannot be read.
  private func digest(_ key: ObjectKey, _ size: UInt64) throws(YesterError) -> ObjectID? {
    hash.start()
    var offset: UInt64 = 0
    while offset < size {
      let part = buffer.whole.rebased(Int(min(UInt64(buffer.capacity), size - offset)))
      do throws(YesterError) {
        guard try store.get(key, at: offset, into: part) else { return nil }
      } catch {
        guard error.isDamage else { throw error }
        return nil
      }
      hash.update(UnsafeRawBufferPointer(part))
      offset += UInt64(part.count)
      progress.add(bytes: UInt64(part.count))
    }
    return ObjectID(nameOf: hash.finish())
  }

  /// Objects that have a second copy alone. Copies are listed behind the objects, and deleted before them: what was
  /// stored or deleted meanwhile is not taken for lost.
  private func findLost(_ known: Set<ObjectKey>) throws {
    guard let healing = store.healing else { return }
    var alone: [ObjectKey] = []
    for folder in Self.folders {
      try store.listCopies(of: folder) { name, _ in
        let key = ObjectKey.named(name, in: folder)
        if !known.contains(key) { alone.append(key) }
      }
    }
    for key in alone where try store.size(key) == nil {
      if try healing.canMend(key) { try mending.handle(key, .missing, .mendable) }
    }
  }
}
