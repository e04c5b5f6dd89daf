/// The limits of the format, section 11 of docs/format.md. Everything read is checked against them first.
package enum Limits {
  package static let configSizeMax = 4 << 10
  package static let slotSizeMax = 4 << 10
  package static let epochSizeMax = 16 << 20
  package static let epochNumberMax: UInt64 = 1 << 62
  package static let epochSlotsMax = 1024
  /// Those that were removed stay, to tell what their records are worth.
  package static let membersMax = 4096
  package static let memberHostsMax = 64
  package static let hostSizeMax = 255
  package static let keySetsMax = 256
  package static let labelSizeMax = 255
  package static let scryptLog2Range: ClosedRange<UInt8> = 10...22
  package static let scryptFactorRange: ClosedRange<UInt32> = 1...32
  package static let scryptCostMax: UInt64 = 1 << 23
  package static let packSizeMax = 256 << 20
  package static let packBlocksMax = 1_000_000
  package static let packDirectorySizeMax = 64 << 20
  package static let blockSizeMax = 16 << 20
  package static let indexWritersMax = 65_536
  package static let chunkSizeMax = 8 << 20
  package static let recordSizeMax = 16 << 20
  package static let textSizeMax = 64 << 10
  package static let tagSizeMax = 255
  /// Tags that one annotation gives or takes away, each.
  package static let annotationTagsMax = 256
  package static let leafEntriesMax = 1_000_000
  package static let branchChildrenMax = 65_536
  package static let nameSizeMax = 255
  package static let targetSizeMax = 65_535
  package static let attributesSizeMax = 4 << 20
  package static let levelsMax = 8
  /// A hole is one byte where it is stored, and many times that where it is read.
  package static let contentPartsMax = 65_536
  package static let treeDepthMax = 16_384
  package static let snapshotEntriesMax: UInt64 = (1 << 32) - 1
  package static let fileSizeMax = UInt64(Int64.max)
  /// A writer that makes a million records a second gets here in 146,000 years.
  package static let sequenceMax: UInt64 = 1 << 62
  /// Heads of other chains that one record or note names.
  package static let headsMax = 256
  /// Ranges of numbers that one note says are lost.
  package static let lostRangesMax = 1024
  /// Records and notes in one repository, and their bytes: all of them are read into memory.
  package static let catalogObjectsMax = 250_000
  package static let catalogSizeMax = 1 << 30
  package static let leaseSizeMax = 9 << 20
  package static let leasePacksMax = 1_000_000
  /// So many fit into a list of `recordSizeMax`.
  package static let condemnedPacksMax = 300_000
  package static let listedLeasesMax = 10_000
}
