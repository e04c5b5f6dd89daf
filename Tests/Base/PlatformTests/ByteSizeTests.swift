import Platform
import Testing

@Suite struct ByteSizeTests {
  private static let sizes: [String: UInt64] = [
    "0": 0, "7": 7, "64B": 64, "000010": 10,
    "10M": 10_485_760, "10MB": 10_000_000, "10 MiB": 10_485_760, "10mib": 10_485_760,
    "2 GiB": 2_147_483_648, "1.5g": 1_610_612_736,
    "500k": 512_000, "500KB": 500_000, "500kb": 500_000, "1Ki": 1024,
    "1T": 1_099_511_627_776, "1P": 1_125_899_906_842_624, "15E": 17_293_822_569_102_704_640,
    "18EB": 18_000_000_000_000_000_000,
    "0.5k": 512, "1.0000001K": 1024, "1.999999999999999999 K": 2047,
  ]

  @Test(arguments: sizes.keys.sorted())
  func understands(_ text: String) throws {
    #expect(try ByteSize.parse(text) == Self.sizes[text])
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
