import Documents
import Platform
import Reporting
import RepositoryFormat
import SnapshotTree
import Testing

/// What docs/json.md promises of single things.
@Suite struct EntryDocumentTests {
  private func text(_ document: some Document) -> String {
    String(decoding: document.text(indented: false), as: UTF8.self)
  }

  private func entry(_ body: EntryBody, permissions: UInt32 = 0o644) -> Entry {
    Entry(
      name: Array("n".utf8), permissions: permissions, owner: Owner(user: 4_000_000_000, group: 0),
      modified: Timestamp(seconds: 0, nanoseconds: 7), changed: Timestamp(seconds: 0), born: nil, linkCount: 1,
      sourceInode: 2, body: body)
  }

  @Test func aPathInUTF8HasNoHexadecimalFieldBesideIt() {
    #expect(text(PathDocument(Array("a/ü".utf8))) == #"{"path":"/a/ü"}"#)
  }

  @Test func aPathThatIsNotUTF8IsAlsoThereInHexadecimal() {
    #expect(text(PathDocument([0x61, 0xFF])) == "{\"path\":\"/a\u{FFFD}\",\"path_hex\":\"2f61ff\"}")
  }

  @Test func theRootIsNamedByASlash() {
    let root = text(EntryDocument(entry(.directory(below: 1 << 40, listing: .zero)), path: []))
    #expect(root.hasPrefix(#"{"name":"/","path":"/","type":"directory""#))
    #expect(root.contains(#""entries":1099511627776"#))
  }

  @Test func sizesBeyondWhatAFloatingPointNumberHoldsAreExact() {
    var event = EntryEvent(.added, Array("f".utf8), type: .file)
    event.size = .max
    #expect(text(EntryEventDocument(event)).contains(#""size":18446744073709551615"#))
  }

  @Test func aLinkWhoseTargetIsNotUTF8HasItInHexadecimal() {
    let link = text(EntryDocument(entry(.symbolicLink(target: [0xFE]), permissions: 0o7)))
    #expect(link.contains("\"target\":\"\u{FFFD}\",\"target_hex\":\"fe\""))
    #expect(link.contains(#""mode":"0007""#))
    #expect(link.contains(#""uid":4000000000"#))
    #expect(link.contains(#""modified":"1970-01-01T00:00:00.000000007Z""#))
  }

  @Test func timesThatNobodyCanWriteAreShownAsTheLastThatCanBe() {
    let late = Timestamp(seconds: .max).withNanoseconds(offset: 0)
    #expect(late == Timestamp(seconds: 1 << 50).withNanoseconds(offset: 0))
    #expect(
      Timestamp(seconds: 0, nanoseconds: 5).withNanoseconds(offset: 3600) == "1970-01-01T01:00:00.000000005+01:00")
  }

  @Test func progressLeavesOutWhatNobodyCanSay() {
    let document = ProgressDocument(RunProgress().numbers, seconds: 1.5, share: nil, secondsLeft: nil)
    #expect(text(document) == #"{"progress":"running","seconds":1.5,"entries":0,"bytes":0,"path":"/"}"#)
  }
}
