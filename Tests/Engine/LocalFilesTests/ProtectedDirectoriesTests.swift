import LocalFiles
import Platform
import TestSupport
import Testing

/// What no restore may remove or replace, whatever leads to it.
@Suite struct ProtectedDirectoriesTests {
  private func withDirectories(_ body: (String, ProtectedDirectories) throws -> Void) throws {
    try withTemporaryDirectory { folder in
      for name in ["a/repository/packs", "other"] { try Directory.makeAll("\(folder)/\(name)") }
      try FileSystem.makeSymbolicLink(to: Array("a".utf8), Array("\(folder)/link".utf8), at: nil)
      try FileSystem.makeSymbolicLink(to: Array("\(folder)/a/repository".utf8), Array("\(folder)/direct".utf8), at: nil)
      try body(folder, try ProtectedDirectories(["\(folder)/link/repository", "\(folder)/not/there"]))
    }
  }

  @Test(arguments: [
    ("a/repository", true, true), ("a", false, true), ("", false, true), ("../..", false, true), ("/", false, true),
    ("other", false, false), ("a/repository/packs", false, false),
  ])
  func theDirectoryAndAllAboveItMustStay(path: String, isProtected: Bool, mustStay: Bool) throws {
    try withDirectories { folder, directories in
      let status = try FileStatus(of: path.hasPrefix("/") ? path : "\(folder)/\(path)")
      #expect(directories.isProtected(status) == isProtected)
      #expect(directories.mustStay(status) == mustStay)
    }
  }

  @Test(arguments: [
    ("a/repository", true), ("a/repository/packs", true), ("a/repository/not/there/yet", true),
    ("link/repository", true),
    ("link/repository/new", true), ("direct", true), ("direct/new", true), ("a/repository/../repository/x", true),
    ("a", false), ("other", false), ("a/repository-2", false), ("not/there", false), ("a/repository/..", false),
  ])
  func whateverLeadsInsideIsHeld(path: String, isHeld: Bool) throws {
    try withDirectories { folder, directories in #expect(directories.holds("\(folder)/\(path)") == isHeld) }
  }

  @Test func nothingIsProtectedByPathsThatAreNotThere() throws {
    try withTemporaryDirectory { folder in
      let directories = try ProtectedDirectories(["\(folder)/not/there"])
      let status = try FileStatus(of: folder)
      #expect(!directories.mustStay(status) && !directories.holds(folder + "/not/there"))
    }
  }
}
