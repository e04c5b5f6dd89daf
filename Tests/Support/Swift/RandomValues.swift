// Random values of every record, made from a seed that failures print.
package import Platform
package import RepositoryFormat

extension SeededGenerator {
  package mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
  package mutating func chance() -> Bool { next() & 1 == 1 }
  package mutating func sequence() -> UInt64 { number() % (Limits.sequenceMax + 1) }
  /// Of any magnitude.
  package mutating func number() -> UInt64 { next() >> (next() % 64) }
  package mutating func id() -> ObjectID { bytes(32).withUnsafeBytes { ObjectID($0) } }
  package mutating func digest() -> Digest { bytes(32).withUnsafeBytes { Digest($0) } }
  package mutating func keySetID() -> KeySetID { KeySetID(bytes(KeySetID.size)) }

  package mutating func text() -> String {
    let letters = Array("abc xyz-_äö€😀\n\"\\")
    return String((0..<below(30)).map { _ in letters[below(letters.count)] })
  }

  package mutating func name() -> [UInt8] {
    while true {
      let name = bytes(1 + (chance() ? below(12) : below(255)))
      if name.withUnsafeBytes({ isValidName($0) }) { return name }
    }
  }

  package mutating func time() -> Timestamp {
    Timestamp(seconds: Int64(bitPattern: number()) &* (chance() ? 1 : -1), nanoseconds: UInt32(below(1_000_000_000)))
  }

  package mutating func owner() -> Owner {
    Owner(
      user: UInt32(truncatingIfNeeded: number()),
      group: UInt32(truncatingIfNeeded: number()),
      userName: bytes(below(9)),
      groupName: bytes(below(9))
    )
  }

  package mutating func attributes() -> [ExtendedAttribute] {
    var names: Set<[UInt8]> = []
    for _ in 0..<below(5) { names.insert(bytes(1 + below(20)).map { $0 == 0 ? 1 : $0 }) }
    // A set has no order that would be the same in the next run.
    var shuffled: [ExtendedAttribute] = []
    for name in names.sorted(by: { $0.precedes($1) }) {
      shuffled.insert(ExtendedAttribute(name: name, value: bytes(below(50))), at: below(shuffled.count + 1))
    }
    return shuffled
  }

  package mutating func pieces() -> [ContentPiece] {
    (0..<(1 + below(8))).map { _ in
      let isHole = chance()
      let length = isHole ? 1 + next() >> 8 : UInt64(1 + below(Limits.chunkSizeMax))
      return ContentPiece(length: length, chunk: isHole ? nil : id())
    }
  }

  package mutating func references() -> [ContentListReference] {
    (0..<(1 + below(8))).map { _ in ContentListReference(length: 1 + next() >> 8, list: id()) }
  }

  package mutating func fileBody() -> EntryBody {
    switch below(4) {
    case 0: return .file(size: 0, content: .empty)
    case 1: return .file(size: UInt64(1 + below(Limits.chunkSizeMax)), content: .single(digest()))
    case 2:
      let pieces = pieces()
      return .file(size: pieces.reduce(0) { $0 + $1.length }, content: .pieces(chance() ? digest() : nil, pieces))
    default:
      let lists = references()
      return .file(size: lists.reduce(0) { $0 + $1.length }, content: .lists(chance() ? digest() : nil, lists))
    }
  }

  package mutating func body() -> EntryBody {
    let major = UInt32(truncatingIfNeeded: number())
    let minor = UInt32(truncatingIfNeeded: number())
    return switch below(9) {
    case 0: .directory(below: number() >> 40, listing: id())
    case 1: .symbolicLink(target: bytes(below(300)).map { $0 == 0 ? 1 : $0 })
    case 2: .fifo
    case 3: .socket
    case 4: .characterDevice(major: major, minor: minor)
    case 5: .blockDevice(major: major, minor: minor)
    default: fileBody()
    }
  }

  package mutating func entry(_ name: [UInt8], owners: [Owner]) -> Entry {
    Entry(
      name: name,
      permissions: UInt32(below(4096)),
      owner: owners[below(owners.count)],
      modified: time(),
      changed: time(),
      born: chance() ? time() : nil,
      linkCount: number(),
      sourceInode: number(),
      linkGroup: chance() ? number() >> 33 : nil,
      isPartial: chance(),
      attributes: chance() ? attributes() : [],
      body: body()
    )
  }

  /// Entries with different names, in their order.
  package mutating func entries(_ count: Int) -> [Entry] {
    let owners = (0..<4).map { _ in owner() }
    var names: Set<[UInt8]> = []
    while names.count < count { names.insert(name()) }
    return names.sorted { $0.precedes($1) }.map { entry($0, owners: owners) }
  }

  package mutating func root() -> Entry {
    var root = entry([], owners: [owner()])
    root.body = .directory(below: number() >> 33, listing: id())
    return root
  }

  package mutating func snapshot() -> SnapshotRecord {
    var record = SnapshotRecord(root: root())
    record.name = "20261120_0930_" + Hex.encode(bytes(below(20)))
    record.host = text()
    record.plan = text()
    record.kind = SnapshotKind.allCases[below(4)]
    record.type = SnapshotType.allCases[below(3)]
    record.summary = text()
    record.creator = text()
    record.purpose = text()
    record.notes = text()
    record.changeTicket = text()
    record.start = time()
    record.end = time()
    record.utcOffset = Int32(below(172_801)) - 86_400
    record.base = chance() ? id() : nil
    record.counts.entries = number()
    record.counts.bytes = number()
    record.counts.unreadable = number()
    record.counts.bytesStored = number()
    record.sources = (0..<below(4)).map { _ in bytes(below(40)) }
    record.excludes = (0..<below(4)).map { _ in bytes(below(40)) }
    record.tags = (0..<below(4)).map { _ in text() }
    record.sequence = sequence()
    record.previous = chance() ? id() : nil
    record.nextLinkGroup = number()
    record.program = text()
    return record
  }

  package mutating func note() -> NoteRecord {
    let subjects = (0..<below(5)).map { _ in
      NoteRecord.Subject(snapshot: id(), writer: bytes(32), sequence: sequence())
    }
    let kinds: [NoteRecord.Kind] = [.removed, .verified, .pinned, .unpinned, .confirmed]
    var note = NoteRecord(kind: kinds[below(5)], time: time(), subjects: subjects)
    note.text = text()
    note.level = text()
    note.until = chance() ? time() : nil
    note.by = text()
    note.sequence = sequence()
    note.previous = chance() ? id() : nil
    if chance() { note.annotation = annotation() }
    if chance() { note.names = subjects.map { _ in text() } }
    return note
  }

  package mutating func annotation() -> SnapshotAnnotation {
    var annotation = SnapshotAnnotation(snapshot: id(), revision: 1 + next() >> 2)
    annotation.summary = chance() ? text() : nil
    annotation.purpose = chance() ? text() : nil
    annotation.notes = chance() ? text() : nil
    annotation.changeTicket = chance() ? text() : nil
    annotation.removedTags = (0..<below(4)).map { _ in "-" + text() }
    annotation.addedTags = (0..<below(4)).map { _ in "+" + text() }
    return annotation
  }

  package mutating func condemned() -> CondemnedList {
    var list = CondemnedList()
    list.number = 1 + number() % (1 << 62)
    list.time = time()
    for _ in 0..<below(4) {
      list.packs[id()] = CondemnedList.Condemnation(list: 1 + number() % list.number, since: time().seconds)
    }
    for _ in 0..<below(4) {
      list.leases[bytes(16)] = CondemnedList.LeaseSighting(state: bytes(32), since: time().seconds)
    }
    return list
  }

  package mutating func lease() -> LeaseRecord {
    let purposes: [LeaseRecord.Purpose] = [.backup, .mount, .reclaim, .read, .name]
    return LeaseRecord(
      id: bytes(16),
      purpose: purposes[below(5)],
      host: text(),
      bootID: text(),
      process: number(),
      processStart: number(),
      sequence: number(),
      since: time(),
      renewed: time(),
      seen: number(),
      snapshot: below(2) == 0 ? id() : nil,
      packs: Set((0..<below(4)).map { _ in number() }).sorted()
    )
  }

  package mutating func slotHeader() -> SlotHeader {
    let cost = SlotHeader.Lock.password(
      log2N: UInt8(10 + below(9)),
      r: UInt32(1 + below(4)),
      p: UInt32(1 + below(4))
    )
    return SlotHeader(
      lock: chance() ? cost : .keyFile,
      createdSeconds: Int64(bitPattern: number()),
      salt: bytes(32),
      publicKey: bytes(32),
      commitment: bytes(16)
    )
  }

  package mutating func slotPayload() -> SlotPayload { SlotPayload(privateKey: bytes(32), rootPublicKey: bytes(32)) }

  /// An epoch's parts, of any content that is consistent.
  package mutating func epochParts() -> (head: EpochHead, shared: SharedPart, full: FullPart) {
    let number = 2 + next() >> 8
    let sets = (0..<(1 + below(4))).map { _ in
      KeySetRecord(
        publicKey: bytes(32),
        idKey: bytes(32),
        indexKey: bytes(32),
        chunkerSeed: bytes(32),
        privateKey: nil
      )
    }
    let members = (0..<(1 + below(5))).map { rosterMember(isFirst: $0 == 0, epoch: number) }
    let head = EpochHead(
      number: number,
      createdSeconds: Int64(bitPattern: self.number()),
      rootPublicKey: bytes(32),
      previous: digest(),
      keySet: keySetID(),
      keySetPublicKey: sets[0].publicKey,
      ephemeralKey: bytes(32),
      slots: members.compactMap(\.slot).map { EpochHead.Slot(id: $0, publicKey: bytes(32)) },
      envelopesLength: 0,
      sharedLength: 0,
      fullLength: 0
    )
    let full = FullPart(
      rootPrivateKey: bytes(32),
      privateKeys: sets.map { _ in bytes(32) },
      members: members.filter(\.isInForce).map { member in
        FullPart.Member(writerSeed: bytes(32), listKeys: member.writers.map { _ in bytes(32) })
      }
    )
    return (head, SharedPart(keySets: sets, members: members), full)
  }

  private mutating func rosterMember(isFirst: Bool, epoch: UInt64) -> RosterMember {
    let states: [RosterMember.State] = [.inForce(slot: id()), .removed(epoch: epoch), .revoked(epoch: epoch)]
    let state = isFirst ? states[0] : states[below(3)]
    var writers = (0..<(1 + below(3))).map { _ in
      WriterKey(
        publicKey: bytes(32),
        since: 1,
        end: WriterKey.End(epoch: epoch, last: ChainEnd(sequence: sequence(), id: id()))
      )
    }
    if case .inForce = state { writers[0].end = nil }
    return RosterMember(
      id: MemberID(bytes(16)),
      role: isFirst || chance() ? .full : .writeOnly,
      state: state,
      createdSeconds: Int64(bitPattern: number()),
      label: bytes(below(256)),
      hosts: (0..<below(3)).map { _ in text() },
      writers: writers
    )
  }

  package mutating func envelopePayload() -> EnvelopePayload {
    EnvelopePayload(
      member: MemberID(bytes(16)),
      writerSeed: bytes(32),
      listKeys: (0..<(1 + below(3))).map { _ in bytes(32) },
      sharedKey: bytes(32),
      fullKey: chance() ? bytes(32) : nil
    )
  }

  package mutating func packDirectory(_ count: Int) -> PackDirectory {
    var directory = PackDirectory()
    for _ in 0..<count {
      let chunks = (0..<below(6)).map { _ in PackDirectory.Chunk(id: id(), length: UInt32(below(100_000))) }
      directory.blocks.append(
        PackDirectory.Block(
          sealedLength: UInt32(16 + below(100_000)),
          plainLength: chunks.reduce(0) { $0 + $1.length },
          compression: chance() ? .zstd : .none,
          chunks: chunks
        )
      )
    }
    return directory
  }
}

extension Digest {
  /// For what is never compared with content.
  package static let zero = [UInt8](repeating: 0, count: 32).withUnsafeBytes { Digest($0) }
}
