package import ObjectStores
internal import Platform

/// A way to make stores, each new and empty, in a folder of its own.
package struct StoreMaker: Sendable, CustomStringConvertible {
  package let description: String
  private let make: @Sendable (_ folder: String) throws -> any ObjectStore

  package init(_ description: String, _ make: @escaping @Sendable (_ folder: String) throws -> any ObjectStore) {
    self.description = description
    self.make = make
  }

  /// Throws `BrokenPromise` when its stores do not keep a promise. Nothing may be left in `leftovers`, which are paths
  /// below the folder of each store.
  package func check(_ promise: StorePromise, leavingNothingIn leftovers: [String] = ["spool"]) throws {
    try withTemporaryDirectory { path in
      var folders: [String] = []
      try promise.check {
        let folder = "\(path)/\(folders.count)"
        try Directory.makeAll(folder)
        folders.append(folder)
        return try make(folder)
      }
      for folder in folders.flatMap({ folder in leftovers.map { "\(folder)/\($0)" } }) {
        guard (try? FileStatus(of: folder)) != nil else { continue }
        let names = try Directory.names(Descriptor.open(folder, Descriptor.directoryFlags))
        guard names.isEmpty else { throw BrokenPromise(description: "\(names.count) files are left in \(folder)") }
      }
    }
  }
}

extension StoreMaker {
  package var paced: StoreMaker {
    StoreMaker("\(description), paced") {
      PacedStore(try make($0), bytesPerSecond: 1 << 20, until: CancellationFlag(), clock: TestClock().clock)
    }
  }
  package var spooled: StoreMaker {
    StoreMaker("\(description), spooled") { SpoolingStore(try make($0), Spool(folder: $0 + "/spool")) }
  }
  package var retried: StoreMaker {
    StoreMaker("\(description), retried") {
      var policy = RetryPolicy()
      policy.triesMax = 100
      return RetryingStore(try make($0), policy: policy, clock: TestClock().clock)
    }
  }
  /// It takes no uploads before their keys are known.
  package var namedOnly: StoreMaker {
    StoreMaker("\(description), named only") { ScriptedStore(try make($0), isNamedOnly: true) { _, _ in .works } }
  }
  /// Two of five calls fail, one of them after its work was done. It takes no uploads before their keys are known.
  package var unreliable: StoreMaker {
    StoreMaker("\(description), unreliable") {
      ScriptedStore(try make($0), isNamedOnly: true) { call, _ in
        switch (call &* 2_654_435_761) >> 7 % 5 {
        case 0: .isLost
        case 1: .answerIsLost
        default: .works
        }
      }
    }
  }
}
