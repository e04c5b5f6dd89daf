// What every ObjectStore must do, without a word on how: a new kind of store is done when it keeps all of these promises.
internal import ChunkCodec
package import ObjectStores
internal import Platform
internal import Reporting
internal import RepositoryFormat

/// One promise of the protocol, with the proof of it. `check` calls `make` for new, empty stores.
package struct StorePromise: Sendable, CustomStringConvertible {
  package let description: String
  package let check: @Sendable (_ make: () throws -> any ObjectStore) throws -> Void

  init(_ description: String, _ check: @escaping @Sendable (any ObjectStore) throws -> Void) {
    self.description = description
    self.check = { try check($0()) }
  }
}

/// A promise that was broken, and where in this file.
package struct BrokenPromise: Error, CustomStringConvertible {
  package let description: String
}

private func require(_ isKept: Bool, _ what: String = "not as promised", line: Int = #line) throws {
  if !isKept { throw BrokenPromise(description: "StoreContract.swift:\(line): \(what)") }
}

private func require<Value: Equatable>(_ found: Value, is wanted: Value, line: Int = #line) throws {
  try require(found == wanted, "\(String(describing: found).prefix(300)), not \(wanted)", line: line)
}

private func requireDamage(line: Int = #line, _ body: () throws -> Void) throws {
  do {
    try body()
  } catch let error as YesterError {
    return try require(error.code == .damaged, "\(error) is not told as damage", line: line)
  }
  throw BrokenPromise(description: "StoreContract.swift:\(line): no error")
}

private func id(_ byte: UInt8) -> ObjectID { [UInt8](repeating: byte, count: 32).withUnsafeBytes { ObjectID($0) } }
private let leaseName = String(repeating: "0a", count: 16)
private let keys: [ObjectKey] = [
  .config, .slot(id(1)), .pack(id(2)), .pack(id(0xFF)), .index(id(1)), .snapshot(id(1)), .lease(leaseName),
  .condemned(0x12), .epoch(0x12),
]

extension ObjectStore {
  fileprivate func range(_ key: ObjectKey, _ offset: UInt64, _ count: Int) throws -> [UInt8]? {
    var out = [UInt8](repeating: 0xEE, count: count)
    return try out.withUnsafeMutableBytes { try get(key, at: offset, into: $0) } ? out : nil
  }

  /// Names and sizes; each name comes once.
  fileprivate func names(_ folder: ObjectFolder) throws -> [String: UInt64] {
    var out: [String: UInt64] = [:]
    var twice: [String] = []
    try list(folder) { name, size in
      if out.updateValue(size, forKey: name) != nil { twice.append(name) }
    }
    try require(twice, is: [])
    return out
  }

  fileprivate func upload(_ parts: [[UInt8]]) throws -> any ObjectUpload {
    let upload = try beginUpload()
    for part in parts { try part.withUnsafeBytes { try upload.append($0) } }
    return upload
  }

  fileprivate func lacks(_ key: ObjectKey) throws -> Bool {
    try size(key) == nil && get(key, limit: 100) == nil && range(key, 0, 1) == nil && names(.packs).isEmpty
  }
}

/// Larger than what is moved in one go, and the same nowhere.
private let large = (0..<2_500_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }

package enum StoreContract {
  package static let promises: [StorePromise] = [
    StorePromise("it says what to call it, and its path is one of a directory") { store in
      try require(!store.location.isEmpty)
      guard let path = store.localPath else { return }
      try require(System.realPath(path), is: path)
      try require(FileStatus(of: path).isDirectory)
    },
    StorePromise("what is not there is no error") { store in
      for key in keys {
        try require(store.size(key), is: nil)
        try require(store.get(key, limit: 100), is: nil)
        try require(store.range(key, 0, 10), is: nil)
        try store.delete(key)
        // Without it there is no repository, and a store may say so. It is the first of all.
        if key == .config { try store.put(.config, [1]) }
      }
    },
    StorePromise("what was put is there, whole") { store in
      for (number, key) in keys.enumerated() {
        let bytes = [UInt8](repeating: UInt8(number), count: number)
        try require(number.isMultiple(of: 2) ? store.put(key, bytes) : store.putBriefly(key, bytes))
        try require(store.get(key, limit: number), is: bytes)
        try require(store.size(key), is: UInt64(number))
      }
      for (number, key) in keys.enumerated() { try require(store.size(key), is: UInt64(number)) }
    },
    StorePromise("what is there stays when it is put again, and the second one is told so") { store in
      for (number, key) in keys.enumerated() {
        let bytes = [UInt8](repeating: UInt8(number), count: 3)
        try store.put(key, bytes)
        for other in [[9, 9, 9], [9], bytes + bytes] as [[UInt8]] {
          try require(!store.put(key, other))
          try require(!store.putBriefly(key, other))
          try require(!store.put(key, content: BytesContent(other)))
          try require(!store.upload([other]).commit(as: key))
          try require(store.get(key, limit: 3), is: bytes)
        }
      }
    },
    StorePromise("what is damaged under the name of its content is replaced when it is put again") { store in
      try store.put(.config, [1])
      let bytes: [UInt8] = [1, 2, 3]
      let id = ObjectID(nameOf: SHA256.hash(bytes))
      let ways: [(ObjectKey) throws -> Bool] = [
        { try store.put($0, bytes) }, { try store.put($0, content: BytesContent(bytes)) },
        { try store.upload([bytes]).commit(as: $0) },
      ]
      for key in [ObjectKey.pack(id), .copy(of: .pack(id)), .snapshot(id), .copy(of: .index(id))] {
        for damaged in [[], [1, 2], [1, 2, 4], [1, 2, 3, 4]] as [[UInt8]] {
          for way in ways {
            try store.replace(key, damaged)
            // A descriptor that is kept open leads to what was there.
            try require(store.range(key, 0, damaged.count), is: damaged)
            try require(way(key))
            try require(store.get(key, limit: 10), is: bytes)
            try require(store.range(key, 0, 3), is: bytes)
          }
        }
      }
    },
    StorePromise("what replaces an object is there in its place, whatever it was") { store in
      for key in keys + [.copy(of: .config), .copy(of: .slot(id(1)))] {
        for bytes in [[1], [], [2, 3]] as [[UInt8]] {
          try store.replace(key, bytes)
          try require(store.get(key, limit: 2), is: bytes)
          try require(store.size(key), is: UInt64(bytes.count))
        }
        try require(!store.put(key, [7]))
      }
    },
    StorePromise("second copies have a place of their own") { store in
      for key in keys {
        let copy = ObjectKey.copy(of: key)
        try require(store.get(copy, limit: 2), is: nil)
        try require(store.put(copy, [1]))
        try require(store.size(key), is: nil)
        try require(store.put(key, [1, 2]))
        try require(store.get(copy, limit: 2), is: [1])
      }
      for folder in ObjectFolder.allCases {
        var copies: [String: UInt64] = [:]
        try store.listCopies(of: folder) { copies[$0] = $1 }
        try require(copies, is: store.names(folder).mapValues { _ in 1 })
        try require(copies.count, is: folder == .packs ? 2 : 1)
      }
      for key in keys {
        try store.delete(.copy(of: key))
        try require(store.size(key), is: 2)
      }
      for folder in ObjectFolder.allCases {
        try store.listCopies(of: folder) { (_, _) throws(YesterError) in throw YesterError(.failed, "it is there") }
      }
    },
    StorePromise("an object that is larger than it may be is damage") { store in
      try store.put(.config, [1, 2, 3])
      try requireDamage { _ = try store.get(.config, limit: 2) }
      try requireDamage { _ = try store.get(.config, limit: 0) }
      try require(store.get(.config, limit: 3), is: [1, 2, 3])
    },
    StorePromise("what was deleted is gone, and its name is free") { store in
      for key in keys {
        try store.put(key, [1, 2])
        try store.delete(key)
        try store.delete(key)
        try require(store.size(key), is: nil)
        try require(store.get(key, limit: 2), is: nil)
        try require(store.range(key, 0, 2), is: nil)
        try require(store.put(key, [3]))
        try require(store.get(key, limit: 1), is: [3])
      }
    },
    StorePromise("any range of an object can be read") { store in
      let key = ObjectKey.pack(id(3))
      try store.put(key, large)
      for (offset, count) in [(0, 1), (0, large.count), (large.count - 1, 1), (77, 100_000), (5, 0), (65_535, 2)] {
        try require(store.range(key, UInt64(offset), count) == Array(large[offset..<(offset + count)]))
      }
    },
    StorePromise("a range beyond the end is damage") { store in
      let key = ObjectKey.pack(id(3))
      try store.put(key, [1, 2, 3])
      for (offset, count) in [(UInt64(0), 4), (2, 2), (3, 1), (1 << 40, 1)] {
        try requireDamage { _ = try store.range(key, offset, count) }
      }
    },
    StorePromise("a list has each object of its folder once, with its size") { store in
      // Without it there is no repository, and a store may say so.
      try store.put(.config, [1])
      for folder in ObjectFolder.allCases { try require(store.names(folder).isEmpty) }
      let ids = (0..<12).map { id(UInt8($0 * 20)) }
      for (number, id) in ids.enumerated() { try store.put(.pack(id), [UInt8](repeating: 0, count: number)) }
      try store.put(.index(id(1)), [1])
      try store.put(.lease(leaseName), [1, 2])
      try store.put(.condemned(0xAB), [1, 2, 3])
      let sizes = Dictionary(uniqueKeysWithValues: ids.enumerated().map { ($1.hex, UInt64($0)) })
      try require(store.names(.packs), is: sizes)
      try require(store.ids(.packs), is: ids)
      try require(store.names(.index), is: [id(1).hex: 1])
      try require(store.names(.leases), is: [leaseName: 2])
      try require(store.names(.condemned), is: ["00000000000000ab": 3])
      try require(store.names(.keys).isEmpty && store.names(.snapshots).isEmpty)
      for id in ids { try store.delete(.pack(id)) }
      try require(store.names(.packs).isEmpty)
    },
    StorePromise("an error of whoever lists ends the list and comes out as it is") { store in
      try store.put(.config, [1])
      for byte: UInt8 in 1...3 { try store.put(.index(id(byte)), [1]) }
      for last in 1...3 {
        var calls = 0
        do {
          try store.list(.index) { (_, _) throws(YesterError) in
            calls += 1
            // Even one that would be worth another try if it were the store's.
            if calls == last { throw YesterError(.busy, "enough", retryDelay: 0) }
          }
          throw BrokenPromise(description: "the error did not come out")
        } catch let error as YesterError {
          try require(error.message, is: "enough")
        }
        try require(calls, is: last)
      }
    },
    StorePromise("an upload is nowhere to be seen before it has its name, and whole from then on") { store in
      try store.put(.config, [1])
      let key = ObjectKey.pack(id(4))
      let upload = try store.beginUpload()
      let part = [UInt8](repeating: 7, count: 1000)
      for _ in 0..<50 {
        try part.withUnsafeBytes { try upload.append($0) }
        try require(store.lacks(key))
      }
      try require(upload.commit(as: key))
      try require(store.size(key), is: 50_000)
      try require(store.get(key, limit: 50_000) == [UInt8](repeating: 7, count: 50_000))
      // It is too late for that.
      upload.cancel()
      try require(store.size(key), is: 50_000)
      try require(try store.upload([]).commit(as: .pack(id(5))))
      try require(store.size(.pack(id(5))), is: 0)
    },
    StorePromise("an upload of any size arrives as it was sent") { store in
      try store.put(.config, [1])
      let key = ObjectKey.pack(id(4))
      try require(store.upload([Array(large[..<10]), [], Array(large[10...])]).commit(as: key))
      try require(store.range(key, 0, large.count) == large)
    },
    StorePromise("nothing is left of an upload that was cancelled") { store in
      try store.put(.config, [1])
      let key = ObjectKey.pack(id(4))
      let upload = try store.upload([[1, 2, 3]])
      upload.cancel()
      upload.cancel()
      try require(store.lacks(key))
      do {
        _ = try upload.commit(as: key)
      } catch {
        return try require(store.lacks(key))
      }
      throw BrokenPromise(description: "it could be committed after that")
    },
    StorePromise("a whole object of any size arrives as it is") { store in
      try store.put(.config, [1])
      for (number, size) in [0, 1, 1 << 20, large.count].enumerated() {
        let key = ObjectKey.pack(id(UInt8(number)))
        try require(store.put(key, content: BytesContent(Array(large[..<size]))))
        try require(store.size(key), is: UInt64(size))
        try require(store.range(key, 0, size) == Array(large[..<size]))
      }
    },
    StorePromise("of many who want a name at the same moment one gets it, and its object is the one that is there") {
      if $0.capabilities.contains(.exclusivePut) { try checkRaces($0) }
    },
    StorePromise("what is replaced is there at any moment, as one or the other") { store in
      try store.put(.config, [1])
      let key = ObjectKey.lease(leaseName)
      try store.replace(key, [UInt8](repeating: 0, count: 1000))
      let problems = Monitor<[String]>([])
      let isOver = Monitor(false)
      try onThreads(3) { thread in
        do {
          if thread == 0 {
            for round in 1...100 { try store.replace(key, [UInt8](repeating: UInt8(round), count: 1000 + round)) }
            isOver.update { $0 = true }
            return
          }
          while !isOver.withLock({ $0 }) {
            let bytes = try store.get(key, limit: 2000) ?? []
            let isWhole = bytes.count >= 1000 && bytes.count == 1000 + Int(bytes[0]) && Set(bytes).count == 1
            let size = try store.size(key)
            if !isWhole || size == nil { problems.withLock { $0.append("\(bytes.count) bytes, \(size ?? 0)") } }
          }
        } catch {
          isOver.update { $0 = true }
          problems.withLock { $0.append("\(error)") }
        }
      }
      try require(problems.withLock { $0 }, is: [])
      try require(store.names(.leases), is: [leaseName: 1100])
      try store.delete(key)
      try require(store.lacks(key))
    },
    StorePromise("clearing up takes nothing away from those who are at work") { store in
      try store.put(.config, [1])
      let upload = try store.upload([[1, 2]])
      try store.put(.index(id(1)), [1])
      try store.removeAbandonedUploads()
      try require(store.names(.index), is: [id(1).hex: 1])
      try require(upload.commit(as: .pack(id(4))))
      try require(store.get(.pack(id(4)), limit: 2), is: [1, 2])
    },
    StorePromise("no more is free than there is") { store in
      if let space = try store.space() { try require(space.available <= space.total) }
    },
  ]

  /// Eight threads store the same keys in all the ways that there are.
  private static func checkRaces(_ store: any ObjectStore) throws {
    struct Outcome {
      var winners: [Int: [UInt8]] = [:]
      var wins = 0
      var errors: [String] = []
    }
    let outcome = Monitor(Outcome())
    try onThreads(8) { thread in
      for round in 0..<20 {
        let bytes = [UInt8](repeating: UInt8(thread), count: 1000 + thread)
        let key = ObjectKey.pack(id(UInt8(round)))
        do {
          let isWinner =
            switch thread % 3 {
            case 0: try store.put(key, bytes)
            case 1: try store.upload([bytes]).commit(as: key)
            default: try store.put(key, content: BytesContent(bytes))
            }
          // Whoever won, the object is whole from now on.
          let seen = try store.get(key, limit: 10_000) ?? []
          outcome.withLock {
            let isWhole = !seen.isEmpty && seen.count == 1000 + Int(seen[0]) && Set(seen).count == 1
            if !isWhole { $0.errors.append("not whole") }
            if isWinner {
              $0.wins += 1
              $0.winners[round] = bytes
            }
          }
        } catch {
          outcome.withLock { $0.errors.append("\(error)") }
        }
      }
    }
    let end = outcome.withLock { $0 }
    try require(end.errors, is: [])
    try require(end.wins, is: 20)
    for round in 0..<20 {
      try require(store.get(.pack(id(UInt8(round))), limit: 10_000), is: end.winners[round])
    }
  }
}
