internal import ChunkCodec
internal import ObjectStores
internal import Platform
package import Reporting
package import RepositoryFormat

/// Who is at work in the repository.
package enum Leases {
  package struct Found: Sendable, CustomStringConvertible {
    /// That of its object: 32 hexadecimal digits.
    package let name: String
    /// SHA-256 of its object, which changes with each renewal.
    package let state: [UInt8]
    /// Nil for what nobody of this repository has signed, or what is sealed with keys that this key slot does not hold.
    package let record: LeaseRecord?
    /// Public key of who signed it.
    package let writer: [UInt8]?
    /// The process is certainly gone: it ran here and does not any more.
    package let isDead: Bool

    package var id: [UInt8] { Hex.decode(name) ?? [] }

    package var description: String {
      guard let record else { return "the lease \(name), which cannot be read" }
      return "\(record.purpose) on \(record.host) (process \(record.process))"
    }
  }

  private static let leftoverNanoseconds: Int64 = 1_000_000_000

  /// All leases, the oldest first, and behind them those that cannot be read.
  package static func list(_ repository: Repository) throws(YesterError) -> [Found] {
    // Where a name moves in its folder as its object is replaced, one look may pass it by.
    let names = Set(try names(repository)).union(try names(repository))
    var out: [Found] = []
    var vanished: Set<String> = []
    for name in names.sorted() {
      if let found = try find(name, repository) {
        out.append(found)
      } else if try repository.store.size(.lease(name)) == nil {
        vanished.insert(name)
      }
    }
    // One that has ended is not listed either.
    if !vanished.isEmpty, let name = try Self.names(repository).first(where: vanished.contains) {
      throw YesterError(
        .failed, "The repository \(repository.store.location) lists the lease \(name) but does not give it",
        advice: "Check that its disk or server is connected and works, then run the command again.")
    }
    return out.sorted { ($0.record?.since ?? lastOfAll, $0.name) < ($1.record?.since ?? lastOfAll, $1.name) }
  }

  private static let lastOfAll = Timestamp(seconds: .max)

  private static func names(_ repository: Repository) throws(YesterError) -> [String] {
    var names: [String] = []
    try repository.store.list(.leases) { name, _ in names.append(name) }
    return names
  }

  /// Nil when there is none of that name, or nothing in it.
  static func find(_ name: String, _ repository: Repository) throws(YesterError) -> Found? {
    let key = ObjectKey.lease(name)
    guard let size = try repository.store.size(key) else { return nil }
    guard size <= UInt64(Limits.leaseSizeMax) else {
      let state = SHA256.hash(Array("\(size) bytes".utf8)).bytes
      return Found(name: name, state: state, record: nil, writer: nil, isDead: false)
    }
    guard let bytes = try repository.store.get(key, limit: Limits.leaseSizeMax), !isLeftover(bytes) else { return nil }
    let state = SHA256.hash(bytes).bytes
    guard let opened = try? RecordSealing.openLease(bytes, repository.keyring), Hex.encode(opened.body.id) == name
    else {
      return Found(name: name, state: state, record: nil, writer: nil, isDead: false)
    }
    return Found(
      name: name, state: state, record: opened.body, writer: opened.envelope.writer, isDead: isDead(opened.body))
  }

  /// What a power failure leaves of a lease that had not reached the disk: a name with nothing in it.
  private static func isLeftover(_ bytes: [UInt8]) -> Bool { bytes.allSatisfy { $0 == 0 } }

  /// Certain is only that a process is gone which ran under this very kernel, where process numbers mean the same.
  /// Machines may have one name and one machine id (copies of one image, or containers, which often have none): that a
  /// lease is of another start of this machine is not to be known.
  private static func isDead(_ record: LeaseRecord) -> Bool {
    let parts = record.bootID.split(separator: " ")
    guard record.bootID == System.bootID, record.host == System.hostName, parts.count == 3,
      isMachineID(parts[0]), parts[1].utf8.count == 36
    else { return false }
    // No process has a number beyond that.
    guard let process = Int32(exactly: record.process) else { return true }
    return System.isGone(process: process, startedAt: record.processStart)
  }

  /// machine-id(5): 32 hexadecimal digits, not all of them zero.
  private static func isMachineID(_ text: Substring) -> Bool {
    guard text.utf8.count == 32, let bytes = Hex.decode(text) else { return false }
    return bytes.contains { $0 != 0 }
  }

  /// Removes the leases of processes that are certainly gone, unless they speak of a snapshot that was not proven.
  package static func removeDead(_ repository: Repository) throws(YesterError) {
    for found in try list(repository) where found.isDead && found.record?.snapshot == nil {
      try repository.store.delete(.lease(found.name))
    }
    func leftovers(of names: [String]) throws(YesterError) -> [String] {
      var out: [String] = []
      for name in names {
        guard let size = try repository.store.size(.lease(name)), size <= UInt64(Limits.leaseSizeMax) else { continue }
        let bytes = try repository.store.get(.lease(name), limit: Limits.leaseSizeMax)
        if let bytes, isLeftover(bytes) { out.append(name) }
      }
      return out
    }
    var found = try leftovers(of: names(repository))
    if found.isEmpty { return }
    // It may be one that is just being made, where that takes two steps (`ObjectPlacing`): these follow on each other.
    System.sleep(nanoseconds: leftoverNanoseconds)
    found = try leftovers(of: found)
    for name in found { try repository.store.delete(.lease(name)) }
  }
}
