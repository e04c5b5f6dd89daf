internal import RepositoryFormat

/// The numbers that `st_ino` shows for the entries of one snapshot. Node numbers are longer than 53 bits, and programs
/// that hold numbers as `double` (all that run in JavaScript) would take neighbours for hard links of one file.
struct InodeRange: Sendable {
  /// Numbers from here on belong to the snapshot.
  let start: UInt64
  /// Entries of the snapshot, the root included.
  private let entries: UInt64
  /// Link groups are below this.
  private let groups: UInt64

  private static let roles = UInt64(ViewRole.allCases.count)
  /// One more than the largest that stands in an entry.
  private static let types = UInt64(EntryType.blockDevice.rawValue) + 1

  fileprivate init(start: UInt64, _ record: SnapshotRecord) {
    self.start = start
    entries = Self.entries(record)
    groups = Self.groups(record)
  }

  // What a record says of itself is bounded: a hostile one must not take all numbers.
  private static func entries(_ record: SnapshotRecord) -> UInt64 {
    min(record.root.below, Limits.snapshotEntriesMax) + 1
  }
  private static func groups(_ record: SnapshotRecord) -> UInt64 {
    min(record.nextLinkGroup, Limits.snapshotEntriesMax)
  }

  /// How many numbers a snapshot needs.
  fileprivate static func length(_ record: SnapshotRecord) -> UInt64 {
    entries(record) * roles + groups(record) * types * 2
  }

  /// Hard links share the number of their group, in each place of their own. A link between things of different types is
  /// none: whoever copied them would make one of what are two.
  func inode(_ number: UInt64, linkGroup: UInt64?, _ role: ViewRole, type: EntryType = .file) -> UInt64 {
    if let linkGroup, linkGroup < groups, type != .directory, role == .snapshot || role == .day {
      let kind = UInt64(type.rawValue) + (role == .day ? Self.types : 0)
      return start + entries * Self.roles + kind * groups + linkGroup
    }
    return start + entries * role.rawValue + min(number, entries - 1)
  }
}

/// Gives each snapshot numbers of its own between 2^40 and 2^53; below that are those of what is in no snapshot.
///
/// Where a snapshot's numbers begin follows from its id. When that range is taken in part, it is the next one that
/// follows from it: numbers are unique with certainty. Snapshots come in the order of their times, so that those of one
/// change at a later mount only when it had to make way for an older one that has been removed since.
struct InodeAllocator: Sendable {
  private static let first: UInt64 = 1 << 40
  private static let end: UInt64 = 1 << 53
  /// So many ranges are tried. Records of honest writers leave nearly all of the room free; lies about sizes could fill
  /// it, and share numbers then.
  private static let attemptsMax: UInt64 = 1000

  /// In order, without overlap.
  private var taken: [Range<UInt64>] = []

  mutating func allocate(_ id: ObjectID, _ record: SnapshotRecord) -> InodeRange {
    let length = InodeRange.length(record)
    var start = Self.first
    for attempt in 0..<Self.attemptsMax {
      start = Self.first + Self.mixed(id.w1 &+ attempt) % (Self.end - Self.first - length)
      if insert(start..<start + length) { break }
    }
    return InodeRange(start: start, record)
  }

  private mutating func insert(_ range: Range<UInt64>) -> Bool {
    var low = 0
    var high = taken.count
    while low < high {
      let middle = (low + high) / 2
      if taken[middle].lowerBound < range.lowerBound { low = middle + 1 } else { high = middle }
    }
    if low > 0, taken[low - 1].upperBound > range.lowerBound { return false }
    if low < taken.count, taken[low].lowerBound < range.upperBound { return false }
    taken.insert(range, at: low)
    return true
  }

  /// The finalizer of splitmix64 (Steele, Lea, Flood, OOPSLA 2014): attempts that follow each other lie far apart.
  private static func mixed(_ value: UInt64) -> UInt64 {
    var z = value &* 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
