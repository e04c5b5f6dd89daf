internal import ChunkCodec
internal import ObjectStores
internal import Platform
internal import Reporting
internal import RepositoryCore
internal import RepositoryFormat

/// Slots that no epoch has put into force, or that the newest one does not name any more: what crashes leave behind, what a
/// copy without deletions brings back, what a stranger puts there. They open nothing and cost nothing but their bytes, so
/// that nothing fails for them.
enum LeftoverSlots {
  /// Somebody may be about to put a new one into force.
  private static let ageMin: Int64 = 3600

  /// `epoch` is the newest as far as the caller knows.
  static func remove(_ repository: Repository, _ epoch: SignedEpoch) {
    guard let ids = try? repository.store.ids(.keys) else { return }
    for id in ids where !epoch.names(id) {
      guard let bytes = try? repository.store.get(.slot(id), limit: Limits.slotSizeMax), isOld(bytes, repository) else {
        continue
      }
      guard let newest = try? Epochs.newest(repository.store, repository.config), !newest.names(id) else { continue }
      try? repository.store.delete(.slot(id))
      // Whoever puts a slot into force looks for it afterwards; whoever takes one away looks whether that was too late.
      guard let after = try? Epochs.newest(repository.store, repository.config), after.names(id) else { continue }
      _ = try? repository.store.put(.slot(id), bytes)
    }
  }

  /// What is no slot of this repository may go at once.
  private static func isOld(_ bytes: [UInt8], _ repository: Repository) -> Bool {
    guard let header = try? SlotHeader(decoding: bytes, repository: repository.config.id) else { return true }
    let (age, overflow) = Timestamp.now().seconds.subtractingReportingOverflow(header.createdSeconds)
    return overflow || age >= ageMin || age < -86400
  }
}
