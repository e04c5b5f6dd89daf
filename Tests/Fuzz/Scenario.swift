// What the targets of trees read: chunks, records and notes of a made-up repository, and what is asked of it.
import ChunkCodec
internal import Platform
internal import RepositoryFormat

/// An input is a row of parts: one byte of kind, two of length, then the part. Chunks cannot name each other by the
/// hash of their content, which no fuzzer finds; a mark stands for it, the chunk's index and 31 times the same byte.
struct Scenario {
  private(set) var chunks: [(kind: ChunkKind, bytes: [UInt8])] = []
  private(set) var records: [SnapshotRecord] = []
  private(set) var notes: [NoteRecord] = []
  private(set) var questions: [UInt8] = []

  static let idMark: UInt8 = 0x5A
  static let digestMark: UInt8 = 0x5B

  static func id(_ index: Int) -> ObjectID { marked(index, idMark).withUnsafeBytes { ObjectID($0) } }
  static func digest(_ index: Int) -> Digest { marked(index, digestMark).withUnsafeBytes { Digest($0) } }

  private static func marked(_ index: Int, _ mark: UInt8) -> [UInt8] {
    [UInt8(truncatingIfNeeded: index)] + [UInt8](repeating: mark, count: 31)
  }

  /// The chunk that an id stands for; nil when it is no mark, or there is no such chunk.
  func index(_ id: ObjectID) -> Int? {
    let index = Int(id.w0 >> 56)
    return index < chunks.count && (id == Self.id(index) || id == ObjectID(nameOf: Self.digest(index))) ? index : nil
  }

  init(_ input: [UInt8]) {
    var rest = input[...]
    while rest.count > 3 {
      let head = Array(rest.prefix(3))
      let part = Array(rest.dropFirst(3).prefix(Int(head[1]) | Int(head[2]) << 8))
      rest = rest.dropFirst(3 + part.count)
      switch head[0] % 5 {
      case 0: chunks.append((.tree, part))
      case 1: chunks.append((.data, part))
      case 2:
        if records.count < 4, let record = accepted({ try SnapshotRecord(decoding: part) }) { records.append(record) }
      case 3: if let note = accepted({ try NoteRecord(decoding: part) }) { notes.append(note) }
      default: questions += part
      }
    }
  }
}

/// Writes what `Scenario` reads.
struct ScenarioWriter {
  private(set) var bytes: [UInt8] = []
  private var count = 0

  private mutating func part(_ kind: UInt8, _ part: [UInt8]) {
    bytes += [kind, UInt8(part.count & 0xFF), UInt8(part.count >> 8)] + part
  }
  mutating func tree(_ chunk: [UInt8]) -> ObjectID {
    part(0, chunk)
    defer { count += 1 }
    return Scenario.id(count)
  }
  /// The id and the SHA-256 of the chunk.
  mutating func data(_ chunk: [UInt8]) -> (ObjectID, Digest) {
    part(1, chunk)
    defer { count += 1 }
    return (Scenario.id(count), Scenario.digest(count))
  }
  mutating func record(_ record: SnapshotRecord) { part(2, record.encode()) }
  mutating func note(_ note: NoteRecord) { part(3, note.encode()) }
  mutating func questions(_ bytes: [UInt8]) { part(4, bytes) }
}

/// Repositories that are as they should be, and those of HostileScenarios.swift.
@Sendable func scenarios() -> [[UInt8]] {
  [smallTree(), contents(), largeListing(), severalSnapshots()] + hostileScenarios()
}

func entry(_ name: String, _ body: EntryBody, isPartial: Bool = false) -> Entry {
  let time = Timestamp(seconds: 1_790_000_000, nanoseconds: 5)
  return Entry(
    name: Array(name.utf8), permissions: 0o755, owner: Owner(user: 0, group: 0), modified: time, changed: time,
    born: nil, linkCount: 1, sourceInode: 7, isPartial: isPartial, body: body)
}

func directory(_ name: String, _ entries: [Entry], _ writer: inout ScenarioWriter, isPartial: Bool = false)
  -> Entry
{
  let below = entries.reduce(0) { $0 + 1 + $1.below }
  return entry(name, .directory(below: below, listing: writer.tree(leafBytes(entries))), isPartial: isPartial)
}

func record(_ root: Entry, name: String = "20261120_0215", plan: String = "") -> SnapshotRecord {
  var record = SnapshotRecord(root: root)
  record.name = name
  record.plan = plan
  record.host = fuzzHost
  record.start = Timestamp(seconds: 1_790_000_000)
  record.end = record.start
  return record
}

/// The host that is mounted.
let fuzzHost = "ada"

private func smallTree() -> [UInt8] {
  var writer = ScenarioWriter()
  let (_, digest) = writer.data(Array("hello".utf8))
  var file = entry("a", .file(size: 5, content: .single(digest)))
  file.attributes = [ExtendedAttribute(name: Array("user.x".utf8), value: [1, 2])]
  file.linkGroup = 3
  let inner = directory("d", [file, entry("l", .symbolicLink(target: Array("a".utf8)))], &writer)
  let root = directory(
    "",
    [
      inner, entry("e", .file(size: 0, content: .empty)), entry("f", .fifo),
      entry("n", .blockDevice(major: 8, minor: 1)),
    ],
    &writer)
  writer.record(record(root))
  writer.questions((0..<80).map { UInt8($0) })
  return writer.bytes
}

private func contents() -> [UInt8] {
  var writer = ScenarioWriter()
  let (first, _) = writer.data([UInt8](repeating: 65, count: 40))
  let (second, digest) = writer.data([UInt8](repeating: 66, count: 20))
  let pieces = [
    ContentPiece(length: 40, chunk: first), ContentPiece(length: 1 << 30, chunk: nil),
    ContentPiece(length: 20, chunk: second),
  ]
  let size = UInt64(60 + 1 << 30)
  let list = writer.tree(ContentList.pieces(pieces).encode())
  let lists = writer.tree(
    ContentList.lists(
      level: 1, [ContentListReference(length: size, list: list), ContentListReference(length: size, list: list)]
    )
    .encode())
  let root = directory(
    "",
    [
      entry("inline", .file(size: size, content: .pieces(digest, pieces))),
      entry("lists", .file(size: size, content: .lists(nil, [ContentListReference(length: size, list: list)]))),
      entry(
        "nested", .file(size: 2 * size, content: .lists(nil, [ContentListReference(length: 2 * size, list: lists)]))),
    ], &writer)
  writer.record(record(root))
  writer.questions((0..<200).map { UInt8(truncatingIfNeeded: $0 &* 37) })
  return writer.bytes
}

private func largeListing() -> [UInt8] {
  var writer = ScenarioWriter()
  let groups = ["ab", "cd", "ef"].map { letters in letters.map { entry(String($0), .socket) } }
  let children = groups.map { group in
    Branch.Child(firstName: group[0].name, count: 2, total: 2, object: writer.tree(leafBytes(group)))
  }
  let low = writer.tree(Branch(children: Array(children[..<2])).encode())
  let high = writer.tree(
    Branch(children: [Branch.Child(firstName: Array("a".utf8), count: 4, total: 4, object: low), children[2]]).encode())
  writer.record(record(entry("", .directory(below: 6, listing: high))))
  writer.questions((0..<60).map { UInt8($0) })
  return writer.bytes
}

private func severalSnapshots() -> [UInt8] {
  var writer = ScenarioWriter()
  let (_, digest) = writer.data([1, 2, 3])
  for (index, name) in ["20261119_0215", "20261120_0215", "20261120_0216"].enumerated() {
    let file = entry("x\(index)", .file(size: 3, content: .single(digest)))
    let home = directory("home", [file], &writer, isPartial: true)
    writer.record(record(directory("", [home], &writer, isPartial: true), name: name, plan: "plan\(index)"))
  }
  writer.note(
    NoteRecord(
      kind: .verified, time: Timestamp(seconds: 1_790_000_000),
      subjects: [
        NoteRecord.Subject(snapshot: .zero, writer: testKeyring.writer.publicKey, sequence: 1)
      ]))
  var annotation = SnapshotAnnotation(snapshot: .zero, revision: 1)
  annotation.summary = "described"
  annotation.addedTags = ["tag"]
  writer.note(NoteRecord(annotation, time: Timestamp(seconds: 1_790_000_001)))
  writer.questions([0, 0, 0])
  return writer.bytes
}
