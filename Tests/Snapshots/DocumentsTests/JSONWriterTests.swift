import Documents
import Testing

@Suite struct JSONWriterTests {
  private func quoted(_ bytes: [UInt8]) -> String {
    var json = JSONWriter()
    json.value(bytes)
    return String(decoding: json.text, as: UTF8.self)
  }

  @Test func controlCharactersAreEscaped() {
    #expect(quoted(Array("a\"b\\c/".utf8)) == #""a\"b\\c/""#)
    #expect(quoted([0x0A, 0x09, 0x0D, 0x00, 0x1F, 0x7F, 0x20]) == #""\n\t\u000d\u0000\u001f\u007f ""#)
    #expect(quoted(Array("ü€😀\u{2028}".utf8)) == "\"ü€😀\u{2028}\"")
    for byte in UInt8(0)..<0x20 { #expect(!quoted([byte]).utf8.contains(byte)) }
  }

  @Test(
    arguments: [
      [0xFF], [0xC3], [0x80], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xC0, 0x80],
    ] as [[UInt8]]
  )
  func badUTF8BecomesReplacementCharacters(bytes: [UInt8]) {
    let text = quoted([0x61] + bytes + [0x22, 0x62])
    #expect(text.hasPrefix("\"a\u{FFFD}"))
    #expect(text.hasSuffix("\\\"b\""))
  }

  @Test func nestingHasItsCommas() {
    var json = JSONWriter()
    json.beginObject()
    json.field("a", 1)
    json.key("b")
    json.beginArray()
    json.value(true)
    json.null()
    json.value(-1.5)
    json.value(Double.nan)
    json.beginObject()
    json.endObject()
    json.beginArray()
    json.endArray()
    json.endArray()
    json.field("c", optional: nil)
    json.field("d", UInt64.max)
    json.endObject()
    #expect(
      String(decoding: json.drain(), as: UTF8.self)
        == #"{"a":1,"b":[true,null,-1.5,null,{},[]],"c":null,"d":18446744073709551615}"#
    )
    #expect(json.text.isEmpty)
  }

  @Test func indentedTextHasOneItemALine() {
    var json = JSONWriter(indented: true)
    json.beginObject()
    json.field("a", "x ")
    json.key("b")
    json.beginArray()
    json.value(1)
    json.value(2)
    json.endArray()
    json.endObject()
    let expected = """
      {
        "a": "x ",
        "b": [
          1,
          2
        ]
      }
      """
    #expect(String(decoding: json.text, as: UTF8.self) == expected)
  }
}
