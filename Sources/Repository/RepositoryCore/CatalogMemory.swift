internal import Platform
internal import Reporting
internal import RepositoryFormat

/// What a catalog and the memory of this machine say to each other, and how much of a catalog there can be.
extension SnapshotCatalog {
  /// Takes over how far the chains are now, and tells what is missing in them.
  func remember(_ repository: Repository, telling: Bool) {
    var moved = ChainCheck.heads(self).filter {
      $0.sequence > remembered.heads[$0.writer]?.sequence ?? 0
    }
    if !moved.isEmpty {
      // What its writer may still take back must not be missed then. Where nobody can say, the next time will do.
      let announced = try? Self.announced(repository)
      moved.removeAll { announced?[$0.id]?.contains($0.writer) ?? (announced == nil) }
    }
    let newForks = forks.filter { $0.number > remembered.toldForks[$0.writer] ?? 0 }
    if telling { tell(repository.notices, newForks) }
    guard !moved.isEmpty || (telling && !newForks.isEmpty) else { return }
    repository.memory.update { memory in
      for head in moved { memory.see(head) }
      for fork in newForks where telling { memory.tellFork(of: fork.writer, at: fork.number) }
    }
  }

  /// What is missing, in one sentence without its full stop; nil when nothing is.
  package var loss: String? {
    // An unusable record has a number, too, and is told as what it is.
    let gaps = damaged.isEmpty ? gaps : gaps.filter { $0.id != nil }
    let first = gaps.first { !$0.isHearsay && $0.id != nil } ?? gaps.first { !$0.isHearsay } ?? gaps.first
    let more = gaps.count > 1 ? " (and \(gaps.count - 1) more)" : ""
    return first.map { "Records of snapshots are missing: \($0.text)\(more)" }
  }

  private func tell(_ notices: Notices, _ forks: [ChainCheck.Fork]) {
    if let loss {
      notices.tell(
        "\(loss). Perhaps this is an old copy of the repository, or somebody took them away. \"yester verify\" names all "
          + "of them.")
    }
    for fork in forks { notices.tell("\(fork.text).") }
  }

  /// Of other writers' chains that moved since `writer` named them last, in no more than one record can name: those that
  /// it never named come first.
  func movedHeads(for writer: [UInt8]) -> [ChainHead] {
    var named: [[UInt8]: UInt64] = [:]
    func note(_ heads: [ChainHead]) {
      for head in heads { named[head.writer] = max(named[head.writer] ?? 0, head.sequence) }
    }
    for snapshot in snapshots where snapshot.envelope.writer == writer { note(snapshot.record.heads) }
    for (_, statement, envelope) in notes where envelope.writer == writer { note(statement.heads) }
    let unproven = Set(snapshots.filter(\.isUnproven).map(\.id))
    let moved = ChainCheck.heads(self).filter {
      $0.writer != writer && !unproven.contains($0.id) && $0.sequence <= Limits.sequenceMax
        && $0.sequence > named[$0.writer] ?? 0
    }
    let order = moved.sorted {
      (named[$0.writer] ?? 0, $0.id) < (named[$1.writer] ?? 0, $1.id)
    }
    return Array(order.prefix(Limits.headsMax))
  }

  // MARK: Bounds

  /// All of it is held in memory. A writer who stores records without end must not take it.
  func requireNumber(_ count: Int) throws(YesterError) {
    guard count > Limits.catalogObjectsMax else { return }
    throw YesterError(
      .failed,
      "The repository holds \(count) snapshot records and notes, and there can be \(Limits.catalogObjectsMax)",
      advice: "Nobody makes so many: a key is misused. The times of the files in \"snapshots\" tell which came in a "
        + "flood; move those aside.")
  }

  /// Says whose records take the most.
  func tooLarge(_ sizes: [ObjectID: Int]) -> YesterError {
    var writers: [[UInt8]: Int] = [:]
    for snapshot in snapshots { writers[snapshot.envelope.writer, default: 0] += sizes[snapshot.id] ?? 0 }
    for (id, _, envelope) in notes { writers[envelope.writer, default: 0] += sizes[id] ?? 0 }
    let most = writers.max { $0.value < $1.value }
    let whose = most.map { ", most of it by \(ChainCheck.name($0.key))" } ?? ""
    return YesterError(
      .failed,
      "The snapshot records and notes of the repository are larger than \(Limits.catalogSizeMax >> 20) MiB\(whose)",
      advice: "Nobody makes so much: a key is misused. Remove it, and move the large records in \"snapshots\" aside.")
  }
}
