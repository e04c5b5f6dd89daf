import ObjectStores
@testable import DirectoryStores
import TestSupport
import Testing

@Suite struct DirectoryContractTests {
  private static func directory(startingWith way: ObjectPlacing.Way) -> StoreMaker {
    StoreMaker("directory, \(way)") {
      DirectoryStore(try DirectoryStore.create($0 + "/repository").location, startingWith: way)
    }
  }
  private static let directory = directory(startingWith: .link)

  /// File systems without hard links, and those that know no rename either that spares what is there, too.
  static let makers =
    ObjectPlacing.Way.allCases.map { directory(startingWith: $0) } + [
      directory.paced, directory.retried, directory.spooled, directory.paced.retried.spooled,
      directory.unreliable.retried.spooled,
    ]

  @Test(arguments: makers, StoreContract.promises)
  func directoriesKeep(maker: StoreMaker, promise: StorePromise) throws {
    try maker.check(promise, leavingNothingIn: ["repository/tmp", "spool"])
  }
}
