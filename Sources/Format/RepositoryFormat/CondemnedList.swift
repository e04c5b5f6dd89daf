package import Platform

/// Which packs nobody builds on any more, since they are to be deleted, and which leases were seen without a change
/// (docs/format.md, section 8.5). Each list is the whole state: the one with the highest number counts.
package struct CondemnedList: Sendable, Equatable {
  /// When and where a pack was condemned first, and was in all lists since.
  package struct Condemnation: Sendable, Equatable {
    /// The number of that list.
    package var list: UInt64
    /// Seconds since 1970. It may be any number, the future included.
    package var since: Int64
    package init(list: UInt64, since: Int64) {
      self.list = list
      self.since = since
    }
  }
  /// A lease as the writer of a list found it.
  package struct LeaseSighting: Sendable, Equatable {
    /// SHA-256 of the lease's object: every renewal changes it.
    package var state: [UInt8]
    /// When it was found like this first; seconds since 1970.
    package var since: Int64
    package init(state: [UInt8], since: Int64) {
      precondition(state.count == 32, "a SHA-256 has 32 bytes")
      self.state = state
      self.since = since
    }
  }

  /// From 1; 0 stands for no list at all.
  package var number: UInt64 = 0
  package var time = Timestamp(seconds: 0)
  package var packs: [ObjectID: Condemnation] = [:]
  /// By the 16 bytes of their ids.
  package var leases: [[UInt8]: LeaseSighting] = [:]

  package init() {}

  package func encode() -> [UInt8] {
    precondition(
      packs.count <= Limits.condemnedPacksMax && leases.count <= Limits.listedLeasesMax,
      "a list of condemned packs is over a limit of the format")
    var fields = RecordFields()
    fields.set(1, number: number)
    fields.set(2, time: time)
    fields.set(3) {
      $0.varint(packs.count)
      for (pack, condemnation) in packs.sorted(by: { $0.key < $1.key }) {
        $0.id(pack)
        $0.varint(condemnation.list)
        $0.svarint(condemnation.since)
      }
    }
    fields.set(4) {
      $0.varint(leases.count)
      for (id, sighting) in leases.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
        $0.raw(id)
        $0.raw(sighting.state)
        $0.svarint(sighting.since)
      }
    }
    return fields.encode()
  }

  package init(decoding bytes: [UInt8]) throws(FormatError) {
    let fields = try RecordFields(decoding: bytes, known: 1...4)
    number = try fields.sequence(1)
    guard let time = try fields.time(2), number > 0 else { throw FormatError("the list of condemned packs is damaged") }
    self.time = time
    let number = self.number
    packs =
      try fields.parse(3) { (reader) throws(FormatError) in
        let count = try reader.count(limit: min(Limits.condemnedPacksMax, reader.remaining / 34))
        var packs: [ObjectID: Condemnation] = [:]
        packs.reserveCapacity(count)
        for _ in 0..<count {
          let pack = try reader.id()
          let list = try reader.varint()
          guard list >= 1, list <= number else { throw FormatError("a pack was condemned by a list that is not there") }
          packs[pack] = Condemnation(list: list, since: try reader.svarint())
        }
        return packs
      } ?? [:]
    leases =
      try fields.parse(4) { (reader) throws(FormatError) in
        let count = try reader.count(limit: min(Limits.listedLeasesMax, reader.remaining / 49))
        var leases: [[UInt8]: LeaseSighting] = [:]
        leases.reserveCapacity(count)
        for _ in 0..<count {
          let id = try reader.array(16)
          let state = try reader.array(32)
          leases[id] = LeaseSighting(state: state, since: try reader.svarint())
        }
        return leases
      } ?? [:]
  }
}
