import LocalFiles
import Platform
import TestSupport
import Testing

/// What no restore may remove or replace, whatever leads to it.
@Suite struct ProtectedPlacesTests {
  private func withPlaces(_ body: (String, ProtectedPlaces) throws -> Void) throws {
    try withTemporaryDirectory { folder in
      for name in ["a/repository/packs", "other"] { try Directory.makeAll("\(folder)/\(name)") }
      try FileSystem.makeSymbolicLink(to: Array("a".utf8), Array("\(folder)/link".utf8), at: nil)
      try FileSystem.makeSymbolicLink(to: Array("\(folder)/a/repository".utf8), Array("\(folder)/direct".utf8), at: nil)
      try body(folder, ProtectedPlaces(["\(folder)/link/repository", "\(folder)/not/there"]))
    }
  }

  @Test(arguments: [
    ("a/repository", true, true), ("a", false, true), ("", false, true), ("../..", false, true), ("/", false, true),
    ("other", false, false), ("a/repository/packs", false, false),
  ])
  func thePlaceAndAllAboveItMustStay(path: String, isPlace: Bool, mustStay: Bool) throws {
    try withPlaces { folder, places in
      let status = try FileStatus(of: path.hasPrefix("/") ? path : "\(folder)/\(path)")
      #expect(places.isPlace(status) == isPlace)
      #expect(places.mustStay(status) == mustStay)
    }
  }

  @Test(arguments: [
    ("a/repository", true), ("a/repository/packs", true), ("a/repository/not/there/yet", true),
    ("link/repository", true),
    ("link/repository/new", true), ("direct", true), ("direct/new", true), ("a/repository/../repository/x", true),
    ("a", false), ("other", false), ("a/repository-2", false), ("not/there", false), ("a/repository/..", false),
  ])
  func whateverLeadsInsideIsHeld(path: String, isHeld: Bool) throws {
    try withPlaces { folder, places in #expect(places.holds("\(folder)/\(path)") == isHeld) }
  }

  @Test func nothingIsProtectedByPathsThatAreNotThere() throws {
    try withTemporaryDirectory { folder in
      let places = ProtectedPlaces(["\(folder)/not/there"])
      let status = try FileStatus(of: folder)
      #expect(!places.mustStay(status) && !places.holds(folder + "/not/there"))
    }
  }
}
