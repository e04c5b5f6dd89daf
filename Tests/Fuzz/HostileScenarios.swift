// Repositories that a key holder could make to do harm: what no run of the fuzzer would come upon soon.
internal import RepositoryFormat

func hostileScenarios() -> [[UInt8]] {
  [
    oneListOfTwoLengths(1 << 62), oneListOfTwoLengths(10), morePiecesThanTime(), absurdCounts(), moreEntriesThanTime(),
    lyingBranch(), impossibleHosts(),
  ]
}

private let questions = (0..<120).map { UInt8(truncatingIfNeeded: $0 &* 29) }

/// The second reference says another length than the list has, which is known from the first.
private func oneListOfTwoLengths(_ length: UInt64) -> [UInt8] {
  var writer = ScenarioWriter()
  let list = writer.tree(ContentList.pieces([ContentPiece(length: length, chunk: nil)]).encode())
  let references = [length, 100, 100, 100, 100].map { ContentListReference(length: $0, list: list) }
  let content = FileContent.lists(nil, references)
  writer.record(record(directory("", [entry("f", .file(size: length + 400, content: content))], &writer)))
  writer.questions(questions)
  return writer.bytes
}

/// Lists of lists, each naming the one below a hundred times.
private func morePiecesThanTime() -> [UInt8] {
  var writer = ScenarioWriter()
  let (chunk, _) = writer.data([1])
  var length: UInt64 = 100
  let pieces = [ContentPiece](repeating: ContentPiece(length: 1, chunk: chunk), count: 100)
  var list = writer.tree(ContentList.pieces(pieces).encode())
  for level in 1...6 {
    let references = [ContentListReference](repeating: ContentListReference(length: length, list: list), count: 100)
    list = writer.tree(ContentList.lists(level: level, references).encode())
    length *= 100
  }
  let content = FileContent.lists(nil, [ContentListReference(length: length, list: list)])
  writer.record(record(directory("", [entry("f", .file(size: length, content: content))], &writer)))
  writer.questions(questions)
  return writer.bytes
}

private func absurdCounts() -> [UInt8] {
  var writer = ScenarioWriter()
  let root = directory("", [], &writer)
  for name in ["20261119_0215", "20261120_0215"] {
    var record = record(root, name: name)
    record.counts.entries = .max
    record.counts.bytes = .max
    writer.record(record)
  }
  return writer.bytes
}

/// Directories that each hold the one below fifty times, in a record that counts none of them.
private func moreEntriesThanTime() -> [UInt8] {
  var writer = ScenarioWriter()
  var inner = directory("d", [entry("f", .file(size: 0, content: .empty))], &writer)
  for _ in 0..<5 {
    let entries = (10..<60).map { number in
      var entry = inner
      entry.name = Array("\(number)".utf8)
      return entry
    }
    inner = directory("d", entries, &writer)
  }
  inner.name = []
  writer.record(record(inner))
  writer.questions(questions)
  return writer.bytes
}

/// Says of its first child that it has more entries than it has.
private func lyingBranch() -> [UInt8] {
  var writer = ScenarioWriter()
  let inner = directory("a", [entry("x", .fifo), entry("y", .fifo)], &writer)
  let first = writer.tree(leafBytes([inner]))
  let second = writer.tree(leafBytes([entry("b", .fifo)]))
  let branch = Branch(children: [
    Branch.Child(firstName: Array("a".utf8), count: 3, total: 3, object: first),
    Branch.Child(firstName: Array("b".utf8), count: 1, total: 1, object: second),
  ])
  writer.record(record(entry("", .directory(below: 4, listing: writer.tree(branch.encode())))))
  writer.questions(questions)
  return writer.bytes
}

private func impossibleHosts() -> [UInt8] {
  var writer = ScenarioWriter()
  let root = directory("", [], &writer)
  for host in ["..", "a/b", "", String(repeating: "h", count: 300)] {
    var record = record(root)
    record.host = host
    writer.record(record)
  }
  return writer.bytes
}
