/// How a node's 64 bits are made: 25 bits of origin, 3 of role, 36 bits of entry number.
///
/// The origin is a snapshot (or what several snapshots of a day make together), the role the place in the mount where
/// it is seen; both together are a *view*. The same directory must not appear in two places under one number, or the
/// kernel would move it from one to the other (docs/decisions/0005). Numbers follow from the ids of snapshots: they
/// are the same after a remount and on another machine, so that a number can be asked about that no listing has given
/// out before. View 0 holds what is in no snapshot.
package enum NodeNumber {
  static let numberBits: UInt64 = 36
  static let numberMask: UInt64 = (1 << numberBits) - 1
  static let roleBits: UInt64 = 3
  static let originMask: UInt64 = (1 << 25) - 1

  static func node(view: UInt64, number: UInt64) -> UInt64 { view << numberBits | number & numberMask }
  package static func view(_ node: UInt64) -> UInt64 { node >> numberBits }
  static func number(_ node: UInt64) -> UInt64 { node & numberMask }

  static func view(origin: UInt64, _ role: ViewRole) -> UInt64 { origin << roleBits | role.rawValue }
  static func origin(ofView view: UInt64) -> UInt64 { view >> roleBits }
  static func role(ofView view: UInt64) -> ViewRole? { ViewRole(rawValue: view & (1 << roleBits - 1)) }
}

/// Where in the mount an entry of a snapshot is seen.
enum ViewRole: UInt64, Sendable, CaseIterable {
  /// Below the snapshot's own name.
  case snapshot = 0
  /// Below the name of its day.
  case day
  /// As a directory of `.yester/versions`: the path's oldest entry stands for the path.
  case versions
  /// As a version of a directory there, which is a link.
  case versionLink
  /// As a directory of a day that several plans share; the origin is their set.
  case union
}
