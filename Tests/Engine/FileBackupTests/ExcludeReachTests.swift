import LocalFiles
@testable import FileBackup
import Platform
import Reporting
import TestSupport
import Testing

/// A pattern that can leave out nothing was meant otherwise, and whoever wrote it is told.
@Suite struct ExcludeReachTests {
  private func remarks(_ pattern: String, _ sources: [String] = ["home/ada", "srv/www/site"]) -> [PathProblem] {
    var list = PathList()
    for source in sources { _ = list.add(Array(source.utf8)[...]) }
    list.sort()
    return ExcludeReach.remarks([Array(pattern.utf8)], SourcePlan(list))
  }

  @Test(arguments: [
    "/home/ada", "/home/ada/.cache", "/home/ada/*.tmp", "/srv/www/site/x/y", "*.tmp", "**/cache", "/**/cache", "cache/",
    "/home/*/cache", "/srv/*", "!/etc/x", "# /etc", "", "/home/ada/[x]",
  ])
  func aPatternThatMayMatchIsNotRemarkedOn(pattern: String) {
    #expect(remarks(pattern).map(\.message) == [])
  }

  @Test(arguments: [("/etc", "/etc"), ("/etc/*.conf", "/etc"), ("/home/adam", "/home/adam"), ("/srv/ww", "/srv/ww")])
  func aPatternThatBeginsOutsideOfAllSourcesMatchesNothing(pattern: String, path: String) throws {
    let remark = try #require(remarks(pattern).first)
    #expect(remark.kind == .remark && remark.path == Array(path.utf8.dropFirst()))
    #expect(remark.message.contains("outside of all that is backed up, and matches nothing"))
  }

  @Test(arguments: ["/home", "/srv/www", "/srv/"])
  func aPatternForTheWayToASourceLeavesOutNothing(pattern: String) throws {
    #expect(try #require(remarks(pattern).first).message.contains("leaves out nothing"))
  }

  @Test func thePathThatWasMeantIsNamedWhereThereIsOneSource() throws {
    let remark = try #require(remarks("/cache/x", ["home/ada"]).first)
    #expect(remark.message.hasSuffix("; write \"/home/ada/cache/x\" for what is in that source"))
    #expect(try !#require(remarks("/cache/x").first).message.contains("; write"))
  }

  @Test func aPathFromTheWorkingDirectoryIsSaidToHoldForAnyPlaceOrForThatOne() throws {
    let remark = try #require(remarks("cache/x", ["nowhere/else", "srv"]).first)
    #expect(remark.message.hasSuffix("; write \"**/cache/x\" for any place"))
    let here = String(decoding: try System.resolve([0x2E]).dropFirst(), as: UTF8.self)
    let both = try #require(remarks("cache/x", [here]).first)
    #expect(both.message.hasSuffix("; write \"/\(here)/cache/x\", or \"**/cache/x\" for any place"))
  }
}
