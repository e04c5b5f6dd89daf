internal import ChunkCodec
internal import ObjectStores
internal import Platform
package import Reporting
package import RepositoryFormat

/// Which packs are condemned: the list with the highest number that a full writer has signed.
///
/// A list is put under the number behind the one that its writer had read, and only where that is free: so each follows
/// from the one before, and of two who condemn at the same moment one is told that the other was faster. What no full
/// writer has signed counts for nothing, and goes with the lists that are out of date.
extension Repository {
  private static let condemnedLooksMax = 5

  /// Reads the list that counts now; nothing builds on the packs in it from then on. Without any list, an empty one with
  /// the number 0. Throws error 11 for a list under keys that this key slot does not hold.
  @discardableResult
  package func readCondemned() throws(YesterError) -> CondemnedList {
    // A list that is out of date may be deleted between listing and reading: then a newer one is there.
    for _ in 0..<Self.condemnedLooksMax {
      let numbers = try condemnedNumbers()
      let known = index.current.condemned
      if numbers.last == known.number { return known }
      guard let list = try newestCondemned(of: numbers) else { continue }
      // Numbers never go down; in a store that has lost the last list nothing becomes fit for use by that.
      if list.number < known.number { return known }
      index.condemn(list)
      return list
    }
    throw YesterError(
      .busy, "The lists of condemned packs of the repository keep changing",
      advice: "Wait until other runs are done and try again.")
  }

  /// Signs and stores `list` as the one behind `previous`, which was read before, and deletes those that are out of date.
  /// Packs that it condemns by the list number 0 are condemned by itself. Throws error 12 when another run was faster:
  /// then all that the list follows from has to be looked at anew.
  package func storeCondemned(_ list: CondemnedList, after previous: CondemnedList) throws(YesterError) {
    precondition(keyring.role == .full, "only full writers condemn")
    let present = try condemnedNumbers()
    var list = list
    list.number = previous.number + 1
    list.time = .now()
    for (pack, condemnation) in list.packs where condemnation.list == 0 { list.packs[pack]?.list = list.number }
    // What stands in its place and is no list must not stand there for ever.
    for number in present where number > previous.number {
      guard try openCondemned(number) == .unusable else { throw Self.outrun }
      try store.delete(.condemned(number))
    }
    guard try store.put(.condemned(list.number), RecordSealing.seal(list, keyring)) else { throw Self.outrun }
    index.condemn(list)
    for number in present where number < list.number { try store.delete(.condemned(number)) }
  }

  private static var outrun: YesterError {
    YesterError(.busy, "Another run has condemned packs at the same moment", advice: "Run the command again.")
  }

  /// In ascending order.
  private func condemnedNumbers() throws(YesterError) -> [UInt64] {
    var numbers: [UInt64] = []
    try store.list(.condemned) { name, _ in if let number = UInt64(name, radix: 16) { numbers.append(number) } }
    return numbers.sorted()
  }

  /// Nil when the numbers are out of date.
  private func newestCondemned(of numbers: [UInt64]) throws(YesterError) -> CondemnedList? {
    for number in numbers.reversed() {
      switch try openCondemned(number) {
      case .list(let list): return list
      case .vanished: return nil
      case .unusable: continue
      }
    }
    return CondemnedList()
  }

  private enum Opened: Equatable {
    case list(CondemnedList)
    case vanished
    /// No full writer has signed it.
    case unusable
  }

  private func openCondemned(_ number: UInt64) throws(YesterError) -> Opened {
    let key = ObjectKey.condemned(number)
    // Nobody is to be stopped by an object that is too large to be a list.
    guard let size = try store.size(key) else { return .vanished }
    guard size <= UInt64(Limits.recordSizeMax) else { return .unusable }
    guard let bytes = try store.get(key, limit: Limits.recordSizeMax) else { return .vanished }
    do throws(FormatError) {
      return try openCondemned(number, bytes, keyring)
    } catch {
      if error.kind == .damaged { return .unusable }
      guard error.kind == .needsLaterKeys else { throw Self.unreadable(number, error) }
      return try openCondemnedLater(number, bytes, error)
    }
  }

  private func openCondemned(_ number: UInt64, _ bytes: [UInt8], _ keyring: Keyring) throws(FormatError) -> Opened {
    let list = try RecordSealing.openCondemned(bytes, keyring)
    // Nobody gets that far honestly, and there has to be a number behind it.
    return list.number == number && number <= Limits.sequenceMax ? .list(list) : .unusable
  }

  /// Its writer may have come since the repository was opened.
  private func openCondemnedLater(
    _ number: UInt64, _ bytes: [UInt8], _ error: FormatError
  ) throws(YesterError) -> Opened {
    let later: Keyring
    switch try self.later(than: keyring) {
    case .none: return .unusable
    case .closed: throw Self.unreadable(number, error)
    case .open(let keyring): later = keyring
    }
    do throws(FormatError) {
      return try openCondemned(number, bytes, later)
    } catch {
      if [.damaged, .needsLaterKeys].contains(error.kind) { return .unusable }
      throw Self.unreadable(number, error)
    }
  }

  private static func unreadable(_ number: UInt64, _ error: FormatError) -> YesterError {
    .damaged("The list of condemned packs \(number)", error)
  }
}
