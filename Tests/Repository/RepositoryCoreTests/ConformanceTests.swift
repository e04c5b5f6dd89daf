// What every ObjectStore must do.
import Reporting
@testable import DirectoryStores
import ObjectStores
import Platform
import RepositoryFormat
import TestSupport
import Testing

private func id(_ byte: UInt8) -> ObjectID { [UInt8](repeating: byte, count: 32).withUnsafeBytes { ObjectID($0) } }
private let leaseName = String(repeating: "0a", count: 16) + "-" + String(repeating: "0", count: 16)

/// Proves a kind of store; each call of `make` gives a new, empty one.
func checkConformance(of make: () throws -> any ObjectStore) throws {
  try checkObjects(make())
  try checkRanges(make())
  try checkLists(make())
  try checkUploads(make())
  try checkRaces(make())
}

private func checkObjects(_ store: any ObjectStore) throws {
  let keys: [ObjectKey] = [
    .config, .slot(id(1)), .pack(id(2)), .pack(id(0xFF)), .index(id(1)), .snapshot(id(1)), .lease(leaseName),
  ]
  for (number, key) in keys.enumerated() {
    #expect(try store.size(key) == nil)
    #expect(try store.get(key, limit: 100) == nil)
    try store.delete(key)
    let bytes = [UInt8](repeating: UInt8(number), count: number)
    #expect(try store.put(key, bytes))
    #expect(try store.get(key, limit: 100) == bytes)
    #expect(try store.size(key) == UInt64(number))
  }
  for (number, key) in keys.enumerated() {
    // What is there stays.
    #expect(try !store.put(key, [9, 9, 9]))
    #expect(try store.get(key, limit: number) == [UInt8](repeating: UInt8(number), count: number))
    if number > 0 { #expect(errorCode { _ = try store.get(key, limit: number - 1) } == .damaged) }
    try store.delete(key)
    try store.delete(key)
    #expect(try store.size(key) == nil)
    #expect(try store.put(key, [1]))
    #expect(try store.get(key, limit: 1) == [1])
  }
}

private func checkRanges(_ store: any ObjectStore) throws {
  let content = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
  let key = ObjectKey.pack(id(3))
  func range(_ offset: UInt64, _ count: Int) throws -> [UInt8]? {
    var out = [UInt8](repeating: 0xEE, count: count)
    return try out.withUnsafeMutableBytes { try store.get(key, at: offset, into: $0) } ? out : nil
  }
  #expect(try range(0, 10) == nil)
  try store.put(key, content)
  for (offset, count) in [(0, 1), (0, 200_000), (199_999, 1), (77, 100_000), (5, 0), (65_535, 2)] {
    #expect(try range(UInt64(offset), count) == Array(content[offset..<(offset + count)]))
  }
  for (offset, count) in [(UInt64(0), 200_001), (199_999, 2), (200_000, 1), (1 << 40, 1)] {
    #expect(errorCode { _ = try range(offset, count) } == .damaged)
  }
  try store.delete(key)
  #expect(try range(0, 10) == nil)
}

private func checkLists(_ store: any ObjectStore) throws {
  func names(_ folder: ObjectFolder) throws -> [String: UInt64] {
    var out: [String: UInt64] = [:]
    try store.list(folder) { name, size in
      #expect(out[name] == nil)
      out[name] = size
    }
    return out
  }
  // Without it there is no repository, and a store may say so.
  try store.put(.config, [1])
  for folder in ObjectFolder.allCases { #expect(try names(folder).isEmpty) }
  let ids = (0..<40).map { id(UInt8($0 * 6)) }
  for (number, id) in ids.enumerated() { try store.put(.pack(id), [UInt8](repeating: 0, count: number)) }
  try store.put(.index(id(1)), [1])
  try store.put(.lease(leaseName), [1, 2])
  let upload = try store.beginUpload()
  try [UInt8](repeating: 1, count: 50).withUnsafeBytes { try upload.append($0) }
  #expect(try names(.packs) == Dictionary(uniqueKeysWithValues: ids.enumerated().map { ($1.hex, UInt64($0)) }))
  #expect(try store.ids(.packs) == ids)
  #expect(try names(.index) == [id(1).hex: 1])
  #expect(try names(.leases) == [leaseName: 2])
  #expect(try names(.keys).isEmpty && names(.snapshots).isEmpty)
  upload.cancel()
  for id in ids { try store.delete(.pack(id)) }
  #expect(try names(.packs).isEmpty)
  // An error of the caller ends the list and comes out.
  #expect(throws: FormatError.self) { try store.list(.index) { _, _ in throw FormatError("enough") } }
}

private func checkUploads(_ store: any ObjectStore) throws {
  let key = ObjectKey.pack(id(4))
  func isAbsent() throws -> Bool {
    try store.size(key) == nil && store.get(key, limit: 100) == nil && store.ids(.packs).isEmpty
  }
  try store.put(.config, [1])
  let cancelled = try store.beginUpload()
  try [1, 2, 3].withUnsafeBytes { try cancelled.append($0) }
  cancelled.cancel()
  #expect(try isAbsent())
  // After a cancellation nothing comes of it any more.
  #expect(throws: (any Error).self) { try cancelled.commit(as: key) }
  #expect(try isAbsent())

  let upload = try store.beginUpload()
  let part = [UInt8](repeating: 7, count: 1000)
  for _ in 0..<50 {
    try part.withUnsafeBytes { try upload.append($0) }
    #expect(try isAbsent())
  }
  #expect(try upload.commit(as: key))
  #expect(try store.size(key) == 50_000)
  #expect(try store.get(key, limit: 50_000) == [UInt8](repeating: 7, count: 50_000))
  upload.cancel()
  #expect(try store.size(key) == 50_000)

  let second = try store.beginUpload()
  #expect(try !second.commit(as: key))
  #expect(try store.size(key) == 50_000)
  let empty = try store.beginUpload()
  #expect(try empty.commit(as: .pack(id(5))))
  #expect(try store.size(.pack(id(5))) == 0)
}

/// Eight threads store the same keys: one wins each, and what it stored is what is there.
private func checkRaces(_ store: any ObjectStore) throws {
  struct Outcome {
    var winners: [Int: [UInt8]] = [:]
    var wins = 0
    var errors: [String] = []
  }
  let outcome = Monitor(Outcome())
  onThreads(8) { thread in
    for round in 0..<20 {
      let bytes = [UInt8](repeating: UInt8(thread), count: 1000 + thread)
      do {
        let isWinner: Bool
        if thread.isMultiple(of: 2) {
          isWinner = try store.put(.pack(id(UInt8(round))), bytes)
        } else {
          let upload = try store.beginUpload()
          try bytes.withUnsafeBytes { try upload.append($0) }
          isWinner = try upload.commit(as: .pack(id(UInt8(round))))
        }
        // Whoever won, the object is whole from now on.
        let seen = try store.get(.pack(id(UInt8(round))), limit: 10_000) ?? []
        outcome.withLock {
          if seen.isEmpty || seen.count != 1000 + Int(seen[0]) || Set(seen).count != 1 { $0.errors.append("not whole") }
          if isWinner {
            $0.wins += 1
            $0.winners[round] = bytes
          }
        }
      } catch { outcome.withLock { $0.errors.append("\(error)") } }
    }
  }
  let end = outcome.withLock { $0 }
  #expect(end.errors == [])
  #expect(end.wins == 20)
  for round in 0..<20 { #expect(try store.get(.pack(id(UInt8(round))), limit: 10_000) == end.winners[round]) }
}

@Suite struct ConformanceTests {
  @Test func memory() throws {
    try checkConformance { MemoryStore() }
  }

  @Test func directory() throws {
    try checkDirectories { try DirectoryStore.create($0) }
  }

  /// File systems without hard links, and those that know no rename either that spares what is there.
  @Test(arguments: ObjectPlacing.Way.allCases)
  func directoryWithout(way: ObjectPlacing.Way) throws {
    try checkDirectories { path in DirectoryStore(try DirectoryStore.create(path).location, startingWith: way) }
  }

  private func checkDirectories(_ make: (String) throws -> DirectoryStore) throws {
    try withTemporaryDirectory { path in
      var number = 0
      try checkConformance {
        number += 1
        return try make("\(path)/\(number)")
      }
      // No upload left anything behind.
      for number in 1...number {
        let temporary = try Descriptor.open("\(path)/\(number)/tmp", Descriptor.directoryFlags)
        #expect(try Directory.names(temporary).isEmpty)
      }
    }
  }
}
