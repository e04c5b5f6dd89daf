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
  package let envelope: SignedEnvelope
  /// The level that the last verification reached, and when; from signed notes.
  package var verified: (level: String, time: Timestamp, by: String)?
  package var isPinned = false
  package var pinnedUntil: Timestamp?
  package var isConfirmed = false

  package init(id: ObjectID, record: SnapshotRecord, envelope: SignedEnvelope) {
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

/// All snapshot records and notes that the keyring may read.
package struct SnapshotCatalog: Sendable {
  /// Oldest first.
  package private(set) var snapshots: [CatalogedSnapshot] = []
  package private(set) var notes: [(id: ObjectID, note: NoteRecord, envelope: SignedEnvelope)] = []
  /// Objects that could not be used, and why.
  package private(set) var damaged: [(id: ObjectID, error: FormatError)] = []
  /// Records that belong to other writers and that a write-only key cannot open.
  package private(set) var foreignCount = 0

  /// Records of snapshots that a note names as removed: they need nothing any more and can be deleted.
  package private(set) var leftovers: [ObjectID] = []

  /// Reads everything in `snapshots/`. `reusing` an earlier catalog reads only what is new, and with
  /// `trustingCache` what this machine has opened before is not read again.
  package init(
    _ repository: Repository, reusing earlier: SnapshotCatalog? = nil, trustingCache: Bool = false
  ) throws(YesterError) {
    let cache = CatalogCache(keyring: repository.keyring, cacheDirectory: repository.cacheDirectory)
    let cached = trustingCache && earlier == nil ? cache.load() : [:]
    var opened = 0
    var vanished: [ObjectID] = []
    let known = Dictionary((earlier?.snapshots ?? []).map { ($0.id, $0) }, uniquingKeysWith: { a, _ in a })
    let knownNotes = Dictionary((earlier?.notes ?? []).map { ($0.id, $0) }, uniquingKeysWith: { a, _ in a })
    for id in try repository.store.ids(.snapshots) {
      if let snapshot = known[id] {
        snapshots.append(
          CatalogedSnapshot(id: id, record: snapshot.signed, envelope: snapshot.envelope))
        continue
      }
      if let note = knownNotes[id] {
        notes.append(note)
        continue
      }
      if let item = cached[id], (try? take(item)) != nil { continue }
      guard let bytes = try repository.store.get(.snapshot(id), limit: Limits.recordSizeMax) else {
        vanished.append(id)
        continue
      }
      opened += 1
      do throws(FormatError) {
        try read(id, bytes, repository)
      } catch {
        if error.kind == .needsOtherKey { foreignCount += 1 } else { damaged.append((id, error)) }
      }
    }
    try repository.store.requireGone(vanished, from: .snapshots)
    snapshots.sort { ($0.record.start, $0.id) < ($1.record.start, $1.id) }
    notes.sort { ($0.note.time, $0.id) < ($1.note.time, $1.id) }
    if trustingCache && earlier == nil && opened >= Self.worthCaching { cache.save(items) }
    dropRemoved()
    apply()
  }

  /// So many records are opened in a moment.
  private static let worthCaching = 16

  /// What the cache should hold.
  private var items: [CatalogCache.Item] {
    snapshots.map { CatalogCache.Item(id: $0.id, envelope: $0.envelope, body: $0.signed.encode()) }
      + notes.map { CatalogCache.Item(id: $0.id, envelope: $0.envelope, body: $0.note.encode()) }
  }

  private mutating func take(_ item: CatalogCache.Item) throws(FormatError) {
    if item.envelope.magic == .note {
      notes.append((item.id, try NoteRecord(decoding: item.body), item.envelope))
    } else {
      snapshots.append(
        CatalogedSnapshot(id: item.id, record: try SnapshotRecord(decoding: item.body), envelope: item.envelope))
    }
  }

  private mutating func read(_ id: ObjectID, _ bytes: [UInt8], _ repository: Repository) throws(FormatError) {
    guard ObjectID(nameOf: SHA256.hash(bytes)) == id else { throw FormatError("its bytes do not fit its name") }
    let keyring = repository.keyring
    if try SignedEnvelope(decoding: bytes, repository: keyring.repository).magic == .note {
      let opened = try RecordSealing.openNote(bytes, keyring)
      notes.append((id, opened.body, opened.envelope))
    } else if let opened = try RecordSealing.openSnapshot(bytes, keyring) {
      snapshots.append(CatalogedSnapshot(id: id, record: opened.body, envelope: opened.envelope))
    } else {
      foreignCount += 1
    }
  }

  /// What a full writer's note names as removed is gone, even where its record is (still, or again) there.
  private mutating func dropRemoved() {
    var removed: Set<ObjectID> = []
    for (_, note, envelope) in notes where note.kind == .removed && envelope.role == .full {
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
    for (_, note, envelope) in notes where envelope.role == .full {
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

  /// The next sequence number of a writer, and the id of its last record or note.
  package func chainEnd(of writer: [UInt8]) -> (next: UInt64, previous: ObjectID?) {
    var last: (sequence: UInt64, id: ObjectID)?
    func consider(_ sequence: UInt64, _ id: ObjectID) {
      if sequence > last?.sequence ?? 0 { last = (sequence, id) }
    }
    for snapshot in snapshots where snapshot.envelope.writer == writer {
      consider(snapshot.record.sequence, snapshot.id)
    }
    for (id, note, envelope) in notes {
      if envelope.writer == writer { consider(note.sequence, id) }
      // Its last record may have been removed; the note tells where the chain stood.
      for subject in note.subjects
      where note.kind == .removed && envelope.role == .full && subject.writer == writer {
        consider(subject.sequence, subject.snapshot)
      }
    }
    return last.map { ($0.sequence &+ 1, $0.id) } ?? (1, nil)
  }
}

extension Repository {
  /// The catalog, and after it the index. Writers store packs, then the index, then the record: whoever reads in the
  /// opposite order finds everything that a record needs.
  package func readCatalog(
    reusing earlier: SnapshotCatalog? = nil, trustingCache: Bool = true
  ) throws(YesterError) -> SnapshotCatalog {
    let catalog = try SnapshotCatalog(self, reusing: earlier, trustingCache: trustingCache)
    try index.refresh()
    return catalog
  }

  /// Who a note of this process is by, in words.
  package static var whoWrites: String { System.userName + "@" + System.hostName }

  /// Signs and stores a note; it takes its place in this writer's chain.
  package func store(_ note: NoteRecord, after catalog: SnapshotCatalog) throws(YesterError) {
    var note = note
    (note.sequence, note.previous) = catalog.chainEnd(of: keyring.writer.publicKey)
    note.by = Self.whoWrites
    let bytes = RecordSealing.seal(note, keyring)
    try store.put(.snapshot(ObjectID(nameOf: SHA256.hash(bytes))), bytes)
  }

  /// Signs and stores a snapshot record; its id. The record takes its place in this writer's chain.
  package func store(_ record: inout SnapshotRecord, after catalog: SnapshotCatalog) throws(YesterError) -> ObjectID {
    (record.sequence, record.previous) = catalog.chainEnd(of: keyring.writer.publicKey)
    let bytes: [UInt8]
    do throws(FormatError) {
      bytes = try RecordSealing.seal(record, keyring)
    } catch {
      throw YesterError(.failed, "The snapshot \(record.name) cannot be recorded: \(error.message)")
    }
    let id = ObjectID(nameOf: SHA256.hash(bytes))
    try store.put(.snapshot(id), bytes)
    return id
  }
}
