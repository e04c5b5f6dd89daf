/// Tells by their first bytes the files that are read and changed in pages, anywhere: databases, and images of disks.
///
/// They are cut at fixed places and stored in small blocks, so that whoever reads a page of them opens little, and a
/// changed page makes little new. A file that is mistaken for one is stored as well, only a few percent larger.
package enum PagedFile {
  /// So many of the first bytes are looked at.
  package static let headSize = 0x10000 + 0x48
  /// Chunks of such files end at multiples of this.
  package static let chunkSize = 64 << 10

  /// `head` is the beginning of a file of `size` bytes, `headSize` bytes of it or all there are; the size may be unknown.
  package static func isPaged(_ head: UnsafeRawBufferPointer, size: UInt64?) -> Bool {
    isDatabase(head, size: size) || isDiskImage(head)
  }

  private static func isDatabase(_ head: UnsafeRawBufferPointer, size: UInt64?) -> Bool {
    // SQLite, "Database File Format", 1.3.
    if head.has("SQLite format 3\0", at: 0) { return true }
    // LMDB, `MDB_MAGIC` behind the header of the first page; Berkeley DB, `DB_BTREEMAGIC` and `DB_HASHMAGIC`.
    if head.u32(at: 16) == 0xBEEF_C0DE { return true }
    if let magic = head.u32(at: 12), magic == 0x053162 || magic == 0x061561 { return true }
    return isPostgreSQL(head, size: size) || isInnoDB(head, size: size)
  }

  /// A relation of PostgreSQL: pages of 8 KiB, of which the first that is not all zero begins with `PageHeaderData`
  /// (storage/bufpage.h), layout version 4.
  private static func isPostgreSQL(_ head: UnsafeRawBufferPointer, size: UInt64?) -> Bool {
    let pageSize = 8192
    guard size.map({ $0 % UInt64(pageSize) == 0 }) ?? true else { return false }
    for page in 0..<head.count / pageSize {
      let start = page * pageSize
      let bytes = head[start..<start + pageSize]
      if bytes.allSatisfy({ $0 == 0 }) { continue }
      guard head.u16(at: start + 18) == 0x2004, let flags = head.u16(at: start + 10), flags <= 7,
        let lower = head.u16(at: start + 12), let upper = head.u16(at: start + 14),
        let special = head.u16(at: start + 16)
      else { return false }
      return lower >= 24 && lower <= upper && upper <= special && special <= pageSize
    }
    return false
  }

  /// A tablespace of InnoDB (fil0fil.h): its page 0 is of type 8 (`FIL_PAGE_TYPE_FSP_HDR`), its page 1 of type 5
  /// (`FIL_PAGE_IBUF_BITMAP`), both with their number in big-endian bytes.
  private static func isInnoDB(_ head: UnsafeRawBufferPointer, size: UInt64?) -> Bool {
    guard head.u32(at: 4) == 0, head.u16(at: 24) == 0x0800 else { return false }
    return [4096, 8192, 16384, 32768].contains { pageSize in
      head.u32(at: pageSize + 4) == 0x0100_0000 && head.u16(at: pageSize + 24) == 0x0500
        && size.map { $0 % UInt64(pageSize) == 0 } ?? true
    }
  }

  private static func isDiskImage(_ head: UnsafeRawBufferPointer) -> Bool {
    // qcow2, VMDK (sparse), VHDX, VHD (dynamic), VDI; LUKS, LVM; XFS, NTFS, ext, btrfs.
    let known: [(String, Int)] = [
      ("QFI\u{FB}", 0), ("KDMV", 0), ("vhdxfile", 0), ("conectix", 0), ("XFSB", 0), ("NTFS    ", 3),
      ("LABELONE", 512), ("_BHRfS_M", 0x10040),
    ]
    if known.contains(where: { head.has($0.0, at: $0.1) }) { return true }
    if head.u32(at: 0x40) == 0xBEDA_107F { return true }
    if head.has("LUKS", at: 0), head.u16(at: 4) == 0xBEBA { return true }
    if head.u16(at: 0x438) == 0xEF53 { return true }
    return hasPartitions(head)
  }

  /// Partition tables: GPT, or an MBR with sound entries. Images of optical disks have one, too, and are read in order.
  private static func hasPartitions(_ head: UnsafeRawBufferPointer) -> Bool {
    guard head.u16(at: 510) == 0xAA55, !head.has("CD001", at: 0x8001) else { return false }
    if head.has("EFI PART", at: 512) || head.has("EFI PART", at: 4096) { return true }
    let entries = (0..<4).map { head[446 + 16 * $0..<462 + 16 * $0] }
    return entries.allSatisfy { [0, 0x80].contains($0[$0.startIndex]) }
      && entries.contains { $0[$0.startIndex + 4] != 0 }
  }
}

extension UnsafeRawBufferPointer {
  /// Whether the characters of `text`, none beyond U+00FF, stand there as one byte each.
  fileprivate func has(_ text: String, at offset: Int) -> Bool {
    let bytes = text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
    return offset + bytes.count <= count && self[offset..<offset + bytes.count].elementsEqual(bytes)
  }

  /// In little-endian bytes; nil where the buffer ends before.
  fileprivate func u16(at offset: Int) -> UInt16? {
    offset + 2 <= count ? UInt16(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self)) : nil
  }
  fileprivate func u32(at offset: Int) -> UInt32? {
    offset + 4 <= count ? UInt32(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self)) : nil
  }
}
