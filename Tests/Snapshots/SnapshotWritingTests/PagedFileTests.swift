import Foundation
import Testing

@testable import SnapshotWriting

/// Files that are read in pages are known by what they begin with; others are not mistaken for them.
@Suite struct PagedFileTests {
  private func isPaged(_ head: [UInt8], size: UInt64? = nil) -> Bool {
    head.withUnsafeBytes { PagedFile.isPaged($0, size: size) }
  }
  private func head(_ parts: (Int, [UInt8])...) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: PagedFile.headSize)
    for (offset, bytes) in parts { out.replaceSubrange(offset..<offset + bytes.count, with: bytes) }
    return out
  }

  /// lower 40, upper 8000, special 8192, pages of 8 KiB in layout version 4.
  private static let relationPage: [UInt8] = [0, 0, 40, 0, 0x40, 0x1F, 0, 0x20, 0x04, 0x20]

  @Test func databasesAreKnown() {
    #expect(isPaged(head((0, Array("SQLite format 3\0".utf8)))))
    #expect(isPaged(head((16, [0xDE, 0xC0, 0xEF, 0xBE]))), "LMDB")
    #expect(isPaged(head((12, [0x62, 0x31, 0x05, 0x00]))), "Berkeley DB")
    #expect(isPaged(head((10, Self.relationPage)), size: 1 << 20), "PostgreSQL")
    #expect(isPaged(head((8192 + 10, Self.relationPage)), size: 1 << 20), "PostgreSQL, first page not written yet")
    #expect(isPaged(head((24, [0, 8]), (16384 + 4, [0, 0, 0, 1]), (16384 + 24, [0, 5])), size: 1 << 20), "InnoDB")
  }

  @Test func whatOnlyLooksLikeARelationIsNone() {
    #expect(!isPaged(head((10, Self.relationPage)), size: (1 << 20) + 1), "not whole pages")
    var wrong = Self.relationPage
    wrong[3] = 0x40
    #expect(!isPaged(head((10, wrong)), size: 1 << 20), "the free space ends before it begins")
    #expect(!isPaged(head(), size: 1 << 20), "zeros")
  }

  @Test func imagesOfDisksAreKnown() {
    let known: [(Int, [UInt8])] = [
      (0, [0x51, 0x46, 0x49, 0xFB]), (0, Array("KDMV".utf8)), (0, Array("vhdxfile".utf8)),
      (0, Array("XFSB".utf8)), (3, Array("NTFS    ".utf8)), (0x40, [0x7F, 0x10, 0xDA, 0xBE]),
      (0, Array("LUKS".utf8) + [0xBA, 0xBE]), (0x438, [0x53, 0xEF]), (0x10040, Array("_BHRfS_M".utf8)),
    ]
    for part in known { #expect(isPaged(head(part)), "\(part)") }
    let partition: (Int, [UInt8]) = (446, [0x80, 0, 0, 0, 0x83])
    #expect(isPaged(head(partition, (510, [0x55, 0xAA]))), "partitions")
    #expect(isPaged(head((510, [0x55, 0xAA]), (512, Array("EFI PART".utf8)))), "GPT")
    #expect(!isPaged(head(partition, (510, [0x55, 0xAA]), (0x8001, Array("CD001".utf8)))), "an optical disk")
    #expect(!isPaged(head((510, [0x55, 0xAA]))), "a boot sector without partitions")
  }

  @Test func othersAreNot() {
    var random = SystemRandomNumberGenerator()
    for size in [0, 1, 3, 16, 19, 512, 1081, 8192, PagedFile.headSize] {
      #expect(!isPaged([UInt8](repeating: 0x20, count: size), size: 1 << 20))
      #expect(!isPaged([UInt8](repeating: 0, count: size), size: 1 << 20))
      // Whatever comes, it ends.
      for _ in 0..<50 { _ = isPaged((0..<size).map { _ in UInt8.random(in: 0...255, using: &random) }) }
    }
  }
}
