import Platform
import SnapshotWriting
import Testing

@Suite struct SnapshotNamingTests {
  /// 2026-11-20 01:15:09 UTC.
  private let start = Timestamp(seconds: 1_795_137_309)

  private func name(_ summary: String = "", taken: Set<String> = []) -> String {
    SnapshotNaming.choose(start, offset: 3600, summary: summary) { taken.contains($0) }
  }

  @Test func aNameIsTheLocalTimeOfTheStart() {
    #expect(name() == "20261120_0215")
    #expect(name("before the update") == "20261120_0215_before-the-update")
  }

  @Test func oneThatIsTakenGetsSecondsAndThenANumber() {
    #expect(name(taken: ["20261120_0215"]) == "20261120_021509")
    #expect(name(taken: ["20261120_0215", "20261120_021509"]) == "20261120_021509-2")
    #expect(name(taken: ["20261120_0215", "20261120_021509", "20261120_021509-2"]) == "20261120_021509-3")
    // What another one is described as makes no difference to who has none.
    #expect(name(taken: ["20261120_0215_x"]) == "20261120_0215")
    #expect(name("x", taken: ["20261120_0215_x"]) == "20261120_021509_x")
  }

  @Test func aDescriptionBecomesPartOfAFileName() {
    #expect(name("  ../a b\n/c  ") == "20261120_0215_..-a-b-c")
    #expect(name("größe 3½") == "20261120_0215_größe-3½")
    #expect(name("// --") == "20261120_0215")
    #expect(name(String(repeating: "x", count: 500)).utf8.count == "20261120_0215_".utf8.count + 100)
  }
}
