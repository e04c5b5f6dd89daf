// Lists of sources: how they are read, sorted, and seen as a tree.
import LocalFiles
@testable import FileBackup
import Glibc
import Platform
import Reporting
import TestSupport
import Testing

@Suite struct SourcePlanTests {
  private func plan(_ paths: [String]) -> SourcePlan {
    var list = PathList()
    for path in paths {
      let isAdded = list.add(Array(path.utf8)[...])
      #expect(isAdded)
    }
    list.sort()
    return SourcePlan(list)
  }

  private func names(_ plan: SourcePlan) -> [String] {
    let names = plan.names
    return (0..<names.count).map { String(decoding: names[$0], as: UTF8.self) }
  }

  /// All that is below a plan: paths of the sources, found by going down.
  private func sources(_ plan: SourcePlan, _ path: String = "") -> [String] {
    if plan.isSource { return [path] }
    return names(plan).flatMap { name in
      plan.child(Array(name.utf8)).map { sources($0, path.isEmpty ? name : path + "/" + name) } ?? ["lost"]
    }
  }

  @Test func aTreeOfNames() {
    let plan = plan(["etc/b", "home/ada", "etc-x", "etc/a/deep", "etc/b", "home/ada/below", "etc/a.b", "etc/a"])
    #expect(names(plan) == ["etc", "etc-x", "home"])
    #expect(sources(plan) == ["etc/a", "etc/a.b", "etc/b", "etc-x", "home/ada"])
    #expect(plan.child(Array("et".utf8)) == nil)
    #expect(plan.child(Array("etc".utf8))?.child(Array("c".utf8)) == nil)
    #expect(plan.child(Array("etc".utf8))?.isSource == false)
  }

  @Test func theRootIsAllThereIs() {
    #expect(plan(["", "etc"]).isSource)
    #expect(plan(["etc"]).isSource == false)
    #expect(plan([]).isEmpty)
  }

  @Test func whereAPathLies() {
    let plan = plan(["home/ada/a", "srv"])
    for (path, reach) in [
      ("srv", SourcePlan.Reach.inside), ("srv/x/y", .inside), ("home", .onTheWay), ("home/ada", .onTheWay),
      ("", .onTheWay), ("home/ada/a/b", .inside), ("home/ada/b", .outside), ("sr", .outside), ("home/adam", .outside),
    ] {
      #expect(plan.reach(Array(path.utf8)) == reach, "\(path)")
    }
  }

  @Test func whatARecordNames() {
    let many = plan((0..<20).map { "srv/www/site-\($0)/index" })
    #expect(many.summary(countMax: 20).count == 20)
    #expect(many.summary(countMax: 19) == [Array("/srv/www".utf8)])
    #expect(plan(["etc/a", "home/b"]).summary(countMax: 1) == [Array("/".utf8)])
    #expect(plan(["etc/a", "etc/a/b", "etc/a/c"]).summary(countMax: 1) == [Array("/etc/a".utf8)])
  }

  /// Random paths give the same tree as a plain one of dictionaries.
  @Test(arguments: 0..<20) func anyPaths(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let parts = ["a", "a-", "a.b", "b", "\u{1}", "é", "a b"]
    let paths = (0..<60).map { _ in
      (0...Int(random.next() % 4)).map { _ in parts[Int(random.next() % UInt64(parts.count))] }.joined(separator: "/")
    }
    // What lies in another source adds nothing.
    let wanted = Set(paths).filter { path in
      !paths.contains { path.hasPrefix($0 + "/") }
    }
    #expect(Set(sources(plan(paths))) == wanted)
    #expect(sources(plan(paths)).count == wanted.count)
  }

  // MARK: Lists

  private func read(_ bytes: [UInt8]) throws -> [[UInt8]] {
    try withTemporaryDirectory { folder in
      let path = folder + "/list"
      try Descriptor.open(path, O_WRONLY | O_CREAT, mode: 0o600).write(bytes)
      var found: [[UInt8]] = []
      let list = try PathStream(Descriptor.open(path), name: "list", stop: CancellationFlag())
      let count = try list.forEach { found.append(Array($0)) }
      #expect(count == found.count)
      return found
    }
  }

  @Test func linesOrZeroBytes() throws {
    let names = ["a", " b ", "#c", "*", "d\\"].map { Array($0.utf8) } + [[0xFF, 0x0D]]
    #expect(try read(Array(names.joined(separator: [0x0A]))) == names)
    #expect(try read(Array(names.joined(separator: [0x0A, 0x0A])) + [0x0A]) == names)
    #expect(try read(Array(names.joined(separator: [0]))) == names)
    #expect(try read([0x61, 0x0A, 0x62, 0, 0x63, 0]) == [[0x61, 0x0A, 0x62], [0x63]])
    #expect(try read([]).isEmpty)
    #expect(try read([0x0A, 0x0A]).isEmpty)
  }

  /// Paths lie across the pieces that are read, whatever their length.
  @Test(arguments: [1, 13, 4095, 65_535, 65_536]) func longPaths(size: Int) throws {
    let names = (0..<UInt8(9)).map { [UInt8](repeating: 0x61 + $0, count: size) }
    #expect(try read(Array(names.joined(separator: [0x0A]))) == names)
    #expect(try read(Array(names.joined(separator: [0]))) == names)
  }

  @Test func listsThatAreRefused() {
    #expect(throws: YesterError.self) { try read([UInt8](repeating: 0x61, count: 65_537)) }
    let lines = Array(repeating: Array("/a/b\n".utf8), count: 40_000).joined()
    #expect(throws: YesterError.self) { try read(Array(lines) + [0x61, 0]) }
  }
}
