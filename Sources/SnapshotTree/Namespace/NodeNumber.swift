/// How a node's 64 bits are made: 27 bits of view, one that marks a link group, 36 bits of entry number.
///
/// A view is a snapshot under one name in the mount. The same directory must not appear twice under one number, or
/// the kernel would move it from one place to the other; so the day `20261120` and the snapshot `20261120_0215` are
/// two views of one snapshot. Views of snapshots follow from the snapshot's id: they are the same after a remount
/// and on another machine. View 0 holds what is in no snapshot.
package enum NodeNumber {
  static let numberBits: UInt64 = 36
  static let linkBit: UInt64 = 1 << 36
  static let viewShift: UInt64 = 37
  /// Views from here on are given out as they are needed.
  static let dynamicViews: UInt64 = 1 << 26

  static func node(view: UInt64, number: UInt64) -> UInt64 { view << viewShift | number }
  static func inode(view: UInt64, linkGroup: UInt64) -> UInt64 { view << viewShift | linkBit | linkGroup }
  static func view(_ node: UInt64) -> UInt64 { node >> viewShift }
  static func number(_ node: UInt64) -> UInt64 { node & (linkBit - 1) }
}
