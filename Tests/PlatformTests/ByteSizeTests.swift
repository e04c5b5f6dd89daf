import Platform
import Testing

@Suite struct ByteSizeTests {
  @Test(arguments: [
    ("0", 0), ("7", 7), ("10M", 10 << 20), ("10MB", 10_000_000), ("10 MiB", 10 << 20), ("10mib", 10 << 20),
    ("2 GiB", 2 << 30), ("1.5g", 3 << 29), ("500k", 500 << 10), ("500KB", 500_000), ("500kb", 500_000), ("1Ki", 1024),
    ("1T", 1 << 40), ("1P", 1 << 50), ("15E", 15 << 60), ("18EB", 18_000_000_000_000_000_000), ("64B", 64),
    ("0.5k", 512), ("1.0000001K", 1024), ("000010", 10), ("1.999999999999999999 K", 2047),
  ])
  func understands(_ text: String, _ bytes: UInt64) throws {
    #expect(try ByteSize.parse(text) == bytes)
  }

  @Test func countsInAUnitWithoutOne() throws {
    #expect(try ByteSize.parse("64", unit: 1 << 20) == 64 << 20)
    #expect(try ByteSize.parse("1.5", unit: 1 << 20) == 3 << 19)
    #expect(try ByteSize.parse("64B", unit: 1 << 20) == 64)
  }

  @Test(arguments: [
    "", " ", "M", ".", ".5", "5.", "1.2.3", "1,5G", "-1", "-1M", "+1", "1e6", "0x10", "10X", "10 M B", "10M/s", "10MBi",
    "ten", "1 000", "٣", "²", "1K ", "NaN", "inf", "1_000",
  ])
  func refusesNonsense(_ text: String) {
    #expect(throws: ByteSize.Failure.self) { try ByteSize.parse(text) }
  }

  @Test(arguments: [
    "16E", "18446744073709551616", "99999999999999999999", "999999999999999999E", "1.0000000000000000001K",
    String(repeating: "9", count: 5000),
  ])
  func refusesWhatIsTooLarge(_ text: String) {
    let error = #expect(throws: ByteSize.Failure.self) { try ByteSize.parse(text) }
    #expect(error?.description == "it must be 0 B to 16 EiB")
  }

  @Test func saysWhatIsAllowed() {
    for text in ["1023", "2G"] {
      let error = #expect(throws: ByteSize.Failure.self) { try ByteSize.parse(text, in: 1024...1 << 30) }
      #expect(error?.description == "it must be 1 KiB to 1 GiB")
    }
    let negative = #expect(throws: ByteSize.Failure.self) { try ByteSize.parse("-5M") }
    #expect(negative?.description.hasPrefix("a size is not negative") == true)
  }
}
