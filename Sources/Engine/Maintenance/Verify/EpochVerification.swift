internal import ChunkCodec
package import ObjectStores
package import Reporting
internal import RepositoryCore
internal import RepositoryFormat

/// The epochs, as far as anybody can check them without a key: that the root key has signed each, that each names the one
/// before it, that none is missing, and that the slots of the newest are there.
package enum EpochVerification {
  /// Each a sentence without its full stop.
  package static func findings(_ store: any ObjectStore) throws(YesterError) -> [String] {
    let config = try Repository.config(of: store)
    let numbers = try Epochs.numbers(store)
    var out: [String] = []
    var last: SignedEpoch?
    for number in numbers {
      let epoch: SignedEpoch
      do throws(YesterError) {
        epoch = try Epochs.read(number, store, config)
      } catch {
        guard error.code == .damaged else { throw error }
        out.append("the epoch \(number) (the object \(ObjectKey.epoch(number))) is damaged or forged")
        continue
      }
      let before = last?.name.number ?? 0
      if number > before + 1, !numbers.contains(number - 1) {
        out.append("the epoch \(number - 1), which the epoch \(number) names, is missing")
      } else if let last, number == before + 1, epoch.head.previous != last.name.digest {
        out.append("the epoch \(number) does not follow the epoch \(before): one of them was exchanged")
      }
      last = epoch
    }
    for slot in last?.head.slots ?? [] where try store.size(.slot(slot.id)) == nil {
      out.append("the key slot \(slot.id.short) is missing")
    }
    return out
  }
}
