import Glibc
import Platform
import TestSupport
import Testing

@Suite struct DirectoryStackTests {
  /// A walk from `top` straight down a path of directories with the names `d`.
  private struct Walk {
    var stack: DirectoryStack
    var handles: [OpenDirectory] = []
    var identities: [FileIdentity] = []

    init(_ top: String, depth: Int, openMax: Int, flags: CInt = Descriptor.directoryFlags) throws {
      stack = DirectoryStack(openMax: openMax)
      var descriptor = try Descriptor.open(top, flags)
      for level in 0..<depth {
        if level > 0 { descriptor = try Descriptor.open("d", at: descriptor, flags) }
        handles.append(OpenDirectory(descriptor))
        identities.append(try descriptor.status().identity)
        try stack.push(handles[level], flags: flags)
      }
    }

    var openCount: Int { handles.filter { $0.descriptor != nil }.count }
    func topIdentity() throws -> FileIdentity? { try stack.top?.status().identity }
  }

  /// `top` with directories `d` in each other, `depth` of them together.
  private func makeDirectories(_ top: String, depth: Int) throws {
    try Directory.makeAll(top + String(repeating: "/d", count: depth - 1))
  }

  private func move(_ old: String, to new: String) throws {
    try FileSystem.rename(old.pathBytes, at: nil, to: new.pathBytes, at: nil)
  }

  @Test(arguments: [1, 2, 3, 7, 39, 40, 41, 256])
  func theWayBackIsTheWayDownAndOnlySoManyAreOpen(openMax: Int) throws {
    try withTemporaryDirectory { path in
      let depth = 40
      try makeDirectories(path + "/a", depth: depth)
      var walk = try Walk(path + "/a", depth: depth, openMax: openMax)
      #expect(walk.openCount == min(depth, openMax))
      for level in (0..<depth).reversed() {
        #expect(walk.stack.count == level + 1)
        #expect(try walk.topIdentity() == walk.identities[level])
        #expect(walk.handles[...level].filter { $0.descriptor != nil }.count <= max(openMax, 1))
        try walk.stack.pop()
      }
      #expect(walk.stack.isEmpty && walk.stack.top == nil)
    }
  }

  @Test func aWalkMayGoDownAgainFromWhereItCameBackTo() throws {
    try withTemporaryDirectory { path in
      try makeDirectories(path + "/a", depth: 9)
      var walk = try Walk(path + "/a", depth: 9, openMax: 2)
      for _ in 0..<7 { try walk.stack.pop() }
      for level in 2..<9 {
        let below = OpenDirectory(try Descriptor.open("d", at: walk.stack.top, Descriptor.directoryFlags))
        try walk.stack.push(below, flags: Descriptor.directoryFlags)
        #expect(try walk.topIdentity() == walk.identities[level])
      }
      for _ in 0..<9 { try walk.stack.pop() }
      #expect(walk.stack.isEmpty)
    }
  }

  @Test func directoriesThatAreOnlyPassedThroughNeedNotBeReadable() throws {
    try withTemporaryDirectory { path in
      try makeDirectories(path + "/a", depth: 5)
      chmod(path + "/a/d", 0o100)
      defer { chmod(path + "/a/d", 0o700) }
      var walk = try Walk(path + "/a", depth: 5, openMax: 1, flags: Descriptor.passageFlags)
      for level in (0..<5).reversed() {
        #expect(try walk.topIdentity() == walk.identities[level])
        try walk.stack.pop()
      }
    }
  }

  /// The directory below was moved to another one: its `..` leads there, and nobody may follow it.
  @Test func aMovedDirectoryDoesNotLeadTheWalkElsewhere() throws {
    try withTemporaryDirectory { path in
      try makeDirectories(path + "/a", depth: 6)
      try Directory.makeAll(path + "/elsewhere")
      var walk = try Walk(path + "/a", depth: 6, openMax: 2)
      try move(path + "/a/d/d", to: path + "/elsewhere/d")
      for _ in 0..<3 { try walk.stack.pop() }
      #expect(try walk.topIdentity() == walk.identities[2])
      #expect(throws: LostDirectory(cause: nil)) { try walk.stack.pop() }
    }
  }

  /// Its place was taken by another directory of the same name.
  @Test func aDirectoryThatReplacedTheOneAboveIsNotEntered() throws {
    try withTemporaryDirectory { path in
      try makeDirectories(path + "/a", depth: 4)
      var walk = try Walk(path + "/a", depth: 4, openMax: 1)
      try move(path + "/a/d", to: path + "/old")
      try Directory.makeAll(path + "/a/d")
      try move(path + "/old/d", to: path + "/a/d/d")
      try walk.stack.pop()
      #expect(throws: LostDirectory(cause: nil)) { try walk.stack.pop() }
    }
  }

  /// With its whole way above it, a directory stays where the walk has it.
  @Test func aTreeThatIsMovedAsAWholeIsWalkedToItsEnd() throws {
    try withTemporaryDirectory { path in
      try makeDirectories(path + "/a", depth: 6)
      var walk = try Walk(path + "/a", depth: 6, openMax: 2)
      try move(path + "/a", to: path + "/b")
      for level in (0..<6).reversed() {
        #expect(try walk.topIdentity() == walk.identities[level])
        try walk.stack.pop()
      }
    }
  }

  @Test func whatIsStillOpenIsNotLookedForAgain() throws {
    try withTemporaryDirectory { path in
      try makeDirectories(path + "/a", depth: 3)
      try Directory.makeAll(path + "/elsewhere")
      var walk = try Walk(path + "/a", depth: 3, openMax: 3)
      try move(path + "/a/d/d", to: path + "/elsewhere/d")
      try walk.stack.pop()
      #expect(try walk.topIdentity() == walk.identities[1])
    }
  }

  /// Some file systems still know what was above it, and some do not.
  @Test func aDirectoryThatWasRemovedLeadsToNoOther() throws {
    try withTemporaryDirectory { path in
      try makeDirectories(path + "/a", depth: 3)
      var walk = try Walk(path + "/a", depth: 3, openMax: 1)
      for directory in ["/a/d/d", "/a/d", "/a"] { rmdir(path + directory) }
      do {
        try walk.stack.pop()
        #expect(try walk.topIdentity() == walk.identities[1])
      } catch let lost as LostDirectory {
        #expect(lost.cause != nil)
      }
    }
  }
}
