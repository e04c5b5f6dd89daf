internal import ObjectStores
internal import ChunkCodec
package import Platform
package import Reporting
package import RepositoryFormat

/// A snapshot as the catalog shows it.
package struct CatalogedSnapshot: Sendable {
  package let id: ObjectID
  /// As the snapshot's writer has signed it, but for what annotations say in place of that (`AnnotationHistory`).
  package internal(set) var record: SnapshotRecord
  package internal(set) var annotations = AnnotationHistory()
  /// The record as it was before the first annotation. Records are large, and most are never annotated.
  private var original: Original?
  package let envelope: Authorship
  /// The level that the last verification reached, and when; from signed notes.
  package var verified: (level: String, time: Timestamp, by: String)?
  package var isPinned = false
  package var pinnedUntil: Timestamp?
  package var isConfirmed = false
  /// Why its time counts for nothing; nil when there is no reason to doubt it.
  package internal(set) var timeDoubt: TimeDoubt?
  /// Its writer has not seen to the end that all it needs stays (`SnapshotCatalog.markUnproven`).
  package internal(set) var isUnproven = false

  package init(id: ObjectID, record: SnapshotRecord, envelope: Authorship) {
    self.id = id
    self.record = record
    self.envelope = envelope
  }

  private final class Original: Sendable {
    let record: SnapshotRecord
    init(_ record: SnapshotRecord) { self.record = record }
  }

  /// As the snapshot's writer has signed it.
  package var signed: SnapshotRecord { original?.record ?? record }

  /// To be called before an annotation changes the record.
  mutating func keepSigned() {
    if original == nil { original = Original(record) }
  }

  /// Key set of its trees and data.
  package var keySet: KeySetID { envelope.keySet }
}

/// A record or note that is sound, and that counts for nothing: its writer was no member any more, or may not speak for
/// the snapshot's host. It still has its place in its writer's chain.
package struct UncountedRecord: Sendable {
  package let id: ObjectID
  package let envelope: SignedEnvelope
  package let sequence: UInt64
  /// Of a snapshot.
  package let name: String?
  /// Why it does not count: a clause without its subject's name.
  package let reason: String
}

/// All snapshot records and notes that the keyring may read.
package struct SnapshotCatalog: Sendable {
  /// Oldest first.
  package private(set) var snapshots: [CatalogedSnapshot] = []
  package private(set) var notes: [(id: ObjectID, note: NoteRecord, envelope: Authorship)] = []
  /// Objects that could not be used, and why.
  package private(set) var damaged: [(id: ObjectID, error: FormatError)] = []
  /// What nobody need look at, and somebody may want to know of.
  package private(set) var uncounted: [UncountedRecord] = []
  /// Records that belong to other writers and that a write-only key cannot open.
  package var foreignCount: Int { foreign.count }
  private var foreign: [ObjectID: [UInt8]] = [:]
  /// Nothing follows from the numbers of their chains.
  var unreadableWriters: Set<[UInt8]> { Set(foreign.values) }

  /// All names in `snapshots/`, whatever they are.
  private(set) var objects: Set<ObjectID> = []
  /// Bytes of what was opened.
  private var sizes: [ObjectID: Int] = [:]
  /// What this machine knew before.
  private(set) var remembered = RepositoryMemory()
  /// What is missing, and numbers that were used twice.
  package private(set) var gaps: [ChainCheck.Gap] = []
  package private(set) var forks: [ChainCheck.Fork] = []

  /// Records of snapshots that a note names as removed: they need nothing any more and can be deleted.
  package private(set) var leftovers: [ObjectID] = []

  /// A listing is not made in one moment: of two records that come meanwhile, the later may be seen alone.
  private static let readingsMax = 3

  /// Reads everything in `snapshots/`. `reusing` an earlier catalog reads only what is new, and with
  /// `trustingCache` what this machine has opened before is not read again.
  ///
  /// This machine remembers how far each chain was. What is missing in them is told the user, unless not `telling`:
  /// then it is for whoever calls to say it.
  package init(
    _ repository: Repository, reusing earlier: SnapshotCatalog? = nil, trustingCache: Bool = false,
    telling: Bool = true
  ) throws(YesterError) {
    let memory = repository.memory.load()
    try self.init(repository, earlier, memory, trustingCache: trustingCache)
    for _ in 1..<Self.readingsMax where !gaps.isEmpty {
      guard try Set(repository.store.ids(.snapshots)) != objects else { break }
      try self.init(repository, self, memory, trustingCache: false)
    }
    remember(repository, telling: telling)
  }

  private init(
    _ repository: Repository, _ earlier: SnapshotCatalog?, _ memory: RepositoryMemory, trustingCache: Bool
  ) throws(YesterError) {
    remembered = memory
    let cache = CatalogCache(keyring: repository.keyring, cacheDirectory: repository.cacheDirectory)
    let cached = trustingCache && earlier == nil ? cache.load() : [:]
    var opened = 0
    var vanished: [ObjectID] = []
    let known = Dictionary((earlier?.snapshots ?? []).map { ($0.id, $0) }, uniquingKeysWith: { a, _ in a })
    let knownNotes = Dictionary((earlier?.notes ?? []).map { ($0.id, $0) }, uniquingKeysWith: { a, _ in a })
    let knownUncounted = Dictionary((earlier?.uncounted ?? []).map { ($0.id, $0) }, uniquingKeysWith: { a, _ in a })
    var keyring = repository.keyring
    let ids = try repository.store.ids(.snapshots)
    objects = Set(ids)
    try requireNumber(ids.count)
    var room = Limits.catalogSizeMax
    for id in ids {
      defer { room -= sizes[id] ?? 0 }
      guard room >= 0 else { throw tooLarge(sizes) }
      if let size = earlier?.sizes[id] { sizes[id] = size }
      if let record = knownUncounted[id] {
        uncounted.append(record)
        continue
      }
      if let snapshot = known[id] {
        snapshots.append(
          CatalogedSnapshot(id: id, record: snapshot.signed, envelope: snapshot.envelope))
        continue
      }
      if let note = knownNotes[id] {
        notes.append(note)
        continue
      }
      if let item = cached[id], take(item, keyring.roster) {
        sizes[id] = item.body.count
        continue
      }
      guard let bytes = try repository.store.get(.snapshot(id), limit: Limits.recordSizeMax) else {
        vanished.append(id)
        objects.remove(id)
        continue
      }
      opened += 1
      sizes[id] = bytes.count
      do throws(FormatError) {
        try read(id, bytes, keyring)
      } catch {
        guard let error = try readLater(id, bytes, &keyring, repository, error) else { continue }
        // Its signature was found valid before.
        let envelope = try? SignedEnvelope(decoding: bytes, repository: keyring.repository)
        if [.needsOtherKey, .needsLaterKeys].contains(error.kind), let envelope {
          foreign[id] = envelope.writer
        } else {
          damaged.append((id, error))
        }
      }
    }
    try repository.store.requireGone(vanished, from: .snapshots)
    snapshots.sort { ($0.record.start, $0.id) < ($1.record.start, $1.id) }
    notes.sort { ($0.note.time, $0.id) < ($1.note.time, $1.id) }
    if trustingCache && earlier == nil && opened >= Self.worthCaching { cache.save(items) }
    dropRemoved()
    apply()
    let doubts = doubtfulTimes(now: .now())
    for index in snapshots.indices { snapshots[index].timeDoubt = doubts[snapshots[index].id] }
    gaps = ChainCheck.gaps(self)
    forks = ChainCheck.forks(self)
  }

  /// So many records are opened in a moment.
  private static let worthCaching = 16

  /// What the cache should hold.
  private var items: [CatalogCache.Item] {
    snapshots.map { CatalogCache.Item(id: $0.id, envelope: $0.envelope.envelope, body: $0.signed.encode()) }
      + notes.map { CatalogCache.Item(id: $0.id, envelope: $0.envelope.envelope, body: $0.note.encode()) }
  }

  /// Whether it could be used: what cannot is read from the repository. What was opened once is still to be asked whether
  /// it counts: members may have been removed since.
  private mutating func take(_ item: CatalogCache.Item, _ roster: Roster) -> Bool {
    do throws(FormatError) {
      if item.envelope.magic == .note {
        let note = try NoteRecord(decoding: item.body)
        notes.append((item.id, note, try roster.authorship(item.envelope, sequence: note.sequence)))
      } else {
        let record = try SnapshotRecord(decoding: item.body)
        let author = try roster.authorship(item.envelope, sequence: record.sequence, host: record.host)
        snapshots.append(CatalogedSnapshot(id: item.id, record: record, envelope: author))
      }
      return true
    } catch {
      return false
    }
  }

  private mutating func read(_ id: ObjectID, _ bytes: [UInt8], _ keyring: Keyring) throws(FormatError) {
    guard ObjectID(nameOf: SHA256.hash(bytes)) == id else { throw FormatError("its bytes do not fit its name") }
    let envelope = try SignedEnvelope(decoding: bytes, repository: keyring.repository)
    if envelope.magic == .note {
      let opened = try RecordSealing.openNote(bytes, keyring)
      let note = opened.body
      do throws(FormatError) {
        notes.append((id, note, try keyring.roster.authorship(opened.envelope, sequence: note.sequence)))
      } catch {
        try setAside(id, opened.envelope, note.sequence, nil, error)
      }
    } else if let opened = try RecordSealing.openSnapshot(bytes, keyring) {
      let record = opened.body
      do throws(FormatError) {
        let author = try keyring.roster.authorship(
          opened.envelope, sequence: record.sequence, host: record.host)
        snapshots.append(CatalogedSnapshot(id: id, record: record, envelope: author))
      } catch {
        try setAside(id, opened.envelope, record.sequence, record.name, error)
      }
    } else {
      foreign[id] = envelope.writer
    }
  }

  /// Reads again what may be of a member who has come since the repository was opened. What is wrong with it; nil when it
  /// could be read.
  private mutating func readLater(
    _ id: ObjectID, _ bytes: [UInt8], _ keyring: inout Keyring, _ repository: Repository, _ error: FormatError
  ) throws(YesterError) -> FormatError? {
    guard error.kind == .needsLaterKeys else { return error }
    switch try repository.later(than: keyring) {
    case .closed: return error
    case .none: return FormatError("its writer is not one of this repository's")
    case .open(let later): keyring = later
    }
    do throws(FormatError) {
      try read(id, bytes, keyring)
      return nil
    } catch {
      return error.kind == .needsLaterKeys ? FormatError("its writer is not one of this repository's") : error
    }
  }

  /// Keeps in mind what does not count; any other error is one.
  private mutating func setAside(
    _ id: ObjectID, _ envelope: SignedEnvelope, _ sequence: UInt64, _ name: String?, _ error: FormatError
  ) throws(FormatError) {
    guard error.kind == .doesNotCount else { throw error }
    uncounted.append(
      UncountedRecord(id: id, envelope: envelope, sequence: sequence, name: name, reason: error.message))
  }

  /// What a full writer's note names as removed is gone, even where its record is (still, or again) there.
  private mutating func dropRemoved() {
    var removed: Set<ObjectID> = []
    for (_, note, envelope) in notes where note.kind == .removed && envelope.isFullWriter {
      removed.formUnion(note.subjects.map(\.snapshot))
    }
    guard !removed.isEmpty else { return }
    leftovers = snapshots.map(\.id).filter { removed.contains($0) }
    snapshots.removeAll { removed.contains($0.id) }
  }

  /// What notes say of snapshots that are there. Only full writers' notes count: a write-only key must not be able to
  /// release a snapshot, nor to protect one as verified that it cannot have read.
  private mutating func apply() {
    let indices = Dictionary(uniqueKeysWithValues: snapshots.enumerated().map { ($1.id, $0) })
    for statement in AnnotationHistory.inOrder(notes) {
      guard let index = indices[statement.annotation.snapshot] else { continue }
      snapshots[index].apply(statement)
    }
    for (_, note, envelope) in notes where envelope.isFullWriter {
      for subject in note.subjects {
        guard let index = indices[subject.snapshot] else { continue }
        switch note.kind {
        case .verified: snapshots[index].verified = (note.level, note.time, note.by)
        case .pinned:
          snapshots[index].isPinned = note.until == nil
          snapshots[index].pinnedUntil = note.until
        case .unpinned:
          snapshots[index].isPinned = false
          snapshots[index].pinnedUntil = nil
        case .confirmed: snapshots[index].isConfirmed = true
        case .removed: break
        }
      }
    }
  }

  /// `isUnproven` of each snapshot; nil takes it out.
  mutating func mark(_ isUnproven: (CatalogedSnapshot) -> Bool?) {
    snapshots = snapshots.compactMap { snapshot in
      var snapshot = snapshot
      guard let mark = isUnproven(snapshot) else { return nil }
      snapshot.isUnproven = mark
      return snapshot
    }
  }

  /// The next sequence number of a writer, and the id of its last record or note: behind everything that is there, that
  /// was removed, or that this machine or a full writer has seen. No number is used again.
  package func chainEnd(of writer: [UInt8]) -> (next: UInt64, previous: ObjectID?) {
    var last: (sequence: UInt64, id: ObjectID)?
    func consider(_ sequence: UInt64, _ id: ObjectID) {
      if sequence > last?.sequence ?? 0 { last = (sequence, id) }
    }
    // What its writer may take back is no end to go on from.
    for snapshot in snapshots where snapshot.envelope.writer == writer && !snapshot.isUnproven {
      consider(snapshot.record.sequence, snapshot.id)
    }
    for (id, note, envelope) in notes {
      if envelope.writer == writer { consider(note.sequence, id) }
      // Its last record may have been removed; the note tells where the chain stood.
      guard envelope.isFullWriter else { continue }
      for subject in note.subjects where note.kind == .removed && subject.writer == writer {
        consider(subject.sequence, subject.snapshot)
      }
      for head in note.heads where head.writer == writer { consider(head.sequence, head.id) }
    }
    for snapshot in snapshots where snapshot.envelope.isFullWriter {
      for head in snapshot.record.heads where head.writer == writer { consider(head.sequence, head.id) }
    }
    if let head = remembered.heads[writer] { consider(head.sequence, head.id) }
    let lost = notes.filter(\.envelope.isFullWriter).flatMap(\.note.losses).filter { $0.writer == writer }
    let next = max(last?.sequence ?? 0, lost.map(\.numbers.upperBound).max() ?? 0) &+ 1
    return (next, last?.id)
  }
}

extension Repository {
  /// The catalog, and after it the index. Writers store packs, then the index, then the record: whoever reads in the
  /// opposite order finds everything that a record needs.
  package func readCatalog(
    reusing earlier: SnapshotCatalog? = nil, trustingCache: Bool = true, telling: Bool = true
  ) throws(YesterError) -> SnapshotCatalog {
    let catalog = try SnapshotCatalog(self, reusing: earlier, trustingCache: trustingCache, telling: telling)
    try index.refresh()
    return catalog
  }

  /// Who a note of this process is by, in words.
  package static var whoWrites: String { System.userName + "@" + System.hostName }

  /// Signs and stores a note; it takes its place in this writer's chain, behind what is finished, or behind all.
  package func store(
    _ note: NoteRecord, after catalog: SnapshotCatalog, behindUnproven: Bool = false
  ) throws(YesterError) {
    var note = note
    var catalog = catalog
    if !behindUnproven { try catalog.markUnproven(self) }
    (note.sequence, note.previous) = catalog.chainEnd(of: keyring.writer.publicKey)
    note.heads = catalog.movedHeads(for: keyring.writer.publicKey)
    note.by = Self.whoWrites
    try requireTrustedEpoch()
    try requireRoom(note.sequence)
    let bytes = RecordSealing.seal(note, keyring)
    let id = ObjectID(nameOf: SHA256.hash(bytes))
    try store.put(.snapshot(id), bytes)
    remember(id, note.sequence)
  }

  /// A snapshot whose record is not stored yet.
  package func unstored(_ record: SnapshotRecord) -> CatalogedSnapshot {
    let envelope = SignedEnvelope(
      magic: .snapshot, keySet: keyring.current.id, epoch: keyring.epoch.number, writer: keyring.writer.publicKey)
    return CatalogedSnapshot(
      id: .zero, record: record,
      envelope: Authorship(envelope, role: keyring.role, member: keyring.member))
  }

  /// Signs and stores a snapshot record; its id. The record takes its place in this writer's chain. `announce` is told of
  /// the id before the record is stored.
  package func store(
    _ record: inout SnapshotRecord, after catalog: SnapshotCatalog,
    announce: (ObjectID) throws(YesterError) -> Void = { _ in }
  ) throws(YesterError) -> ObjectID {
    var catalog = catalog
    try catalog.markUnproven(self)
    (record.sequence, record.previous) = catalog.chainEnd(of: keyring.writer.publicKey)
    record.heads = catalog.movedHeads(for: keyring.writer.publicKey)
    try requireTrustedEpoch()
    try requireRoom(record.sequence)
    let bytes: [UInt8]
    do throws(FormatError) {
      bytes = try RecordSealing.seal(record, keyring)
    } catch {
      throw YesterError(.failed, "The snapshot \(record.name) cannot be recorded: \(error.message)")
    }
    let id = ObjectID(nameOf: SHA256.hash(bytes))
    try announce(id)
    try store.put(.snapshot(id), bytes)
    return id
  }

  /// To be called when the snapshot is finished: a record that is taken back is not missed.
  package func remember(_ id: ObjectID, _ sequence: UInt64) {
    let head = ChainHead(writer: keyring.writer.publicKey, sequence: sequence, id: id)
    memory.update { $0.see(head) }
  }

  /// Nobody gets to the last number honestly.
  private func requireRoom(_ sequence: UInt64) throws(YesterError) {
    guard sequence > Limits.sequenceMax else { return }
    throw YesterError(
      .failed, "There are no numbers left for records of this key: somebody who has a copy of it has used the last one",
      advice: "Make a new key with a full key (\"yester key add\"), use that from now on, and remove this one.")
  }
}
