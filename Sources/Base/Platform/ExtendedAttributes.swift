internal import CLinux
internal import Glibc

/// One extended attribute; names have no zero byte.
package struct ExtendedAttribute: Sendable, Equatable {
  package let name: [UInt8]
  package let value: [UInt8]
  package init(name: [UInt8], value: [UInt8]) {
    self.name = name
    self.value = value
  }
}

extension [ExtendedAttribute] {
  /// In the order of their names.
  private var sortedByName: Self { sorted { $0.name.precedes($1.name) } }

  /// Whether both are the same attributes. The order says nothing about a file: each file system has its own.
  package func isSame(as other: Self) -> Bool {
    self == other || (count == other.count && sortedByName == other.sortedByName)
  }

  /// Whether no name comes twice.
  package var hasDistinctNames: Bool {
    guard count > 1 else { return true }
    let sorted = sortedByName
    return zip(sorted, sorted.dropFirst()).allSatisfy { $0.name != $1.name }
  }
}

/// Extended attributes of `name` in a directory; a symbolic link's are its own.
package enum ExtendedAttributes {
  /// What reading all of a file's attributes has given.
  package struct Reading: Sendable {
    /// In the order in which the file system lists them, which archives show. Attributes that vanish between listing
    /// and reading are left out; a file system without attributes has none.
    package var attributes: [ExtendedAttribute] = []
    /// Those that are there and could not be read.
    package var failures: [(name: [UInt8], error: Errno)] = []

    package init() {}

    /// Of all that are there.
    package var names: [[UInt8]] { attributes.map(\.name) + failures.map(\.name) }
  }

  /// Throws when not even the names of the attributes can be read.
  package static func readEach(_ name: [UInt8], at directory: Descriptor?) throws(Errno) -> Reading {
    let dirfd = directory?.raw ?? yl_at_fdcwd
    return try collect(
      list: { buffer, size in name.withCPath { yl_listxattrat(dirfd, $0, buffer, size) } },
      get: { attribute, buffer, size in name.withCPath { yl_getxattrat(dirfd, $0, attribute, buffer, size) } })
  }

  /// The same of an open file (not one opened with `O_PATH`).
  package static func readEach(_ file: Descriptor) throws(Errno) -> Reading {
    try collect(
      list: { buffer, size in yl_flistxattr(file.raw, buffer, size) },
      get: { attribute, buffer, size in yl_fgetxattr(file.raw, attribute, buffer, size) })
  }

  /// As `readEach`; also throws when one of them cannot be read.
  package static func read(_ name: [UInt8], at directory: Descriptor?) throws(Errno) -> [ExtendedAttribute] {
    try whole(try readEach(name, at: directory))
  }
  package static func read(_ file: Descriptor) throws(Errno) -> [ExtendedAttribute] {
    try whole(try readEach(file))
  }

  private static func whole(_ reading: Reading) throws(Errno) -> [ExtendedAttribute] {
    if let failure = reading.failures.first { throw failure.error }
    return reading.attributes
  }

  package static func set(_ attribute: ExtendedAttribute, _ name: [UInt8], at directory: Descriptor?) throws(Errno) {
    let dirfd = directory?.raw ?? yl_at_fdcwd
    try Errno.check(
      name.withCPath { path in
        attribute.name.withCPath { key in
          attribute.value.withUnsafeBytes { yl_setxattrat(dirfd, path, key, $0.baseAddress, $0.count) }
        }
      })
  }

  /// The same of an open file.
  package static func set(_ attribute: ExtendedAttribute, _ file: Descriptor) throws(Errno) {
    try Errno.check(
      attribute.name.withCPath { key in
        attribute.value.withUnsafeBytes { yl_fsetxattr(file.raw, key, $0.baseAddress, $0.count) }
      })
  }

  package static func remove(_ attribute: [UInt8], _ file: Descriptor) throws(Errno) {
    try Errno.check(attribute.withCPath { yl_fremovexattr(file.raw, $0) })
  }

  package static func remove(_ attribute: [UInt8], _ name: [UInt8], at directory: Descriptor?) throws(Errno) {
    let dirfd = directory?.raw ?? yl_at_fdcwd
    try Errno.check(name.withCPath { path in attribute.withCPath { yl_removexattrat(dirfd, path, $0) } })
  }

  private static func collect(
    list: (UnsafeMutableRawPointer?, Int) -> Int,
    get: (UnsafePointer<CChar>, UnsafeMutableRawPointer?, Int) -> Int
  ) throws(Errno) -> Reading {
    // Most files have no attributes: ask with a small buffer first, so that this costs one call.
    let size: Int = withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { list($0.baseAddress, 256) }
    if size == 0 || size == -Int(ENOTSUP) { return Reading() }
    if size < 0 && size != -Int(ERANGE) { try Errno.check(size) }
    // 64 KiB is XATTR_LIST_MAX and XATTR_SIZE_MAX: nothing the kernel returns is longer.
    var names = [UInt8](repeating: 0, count: 65536)
    let length = try Errno.check(names.withUnsafeMutableBytes { list($0.baseAddress, $0.count) })
    var value = [UInt8](repeating: 0, count: 65536)
    var out = Reading()
    for name in names.prefix(length).split(separator: 0) {
      let key = Array(name)
      let got = key.withCPath { key in value.withUnsafeMutableBytes { get(key, $0.baseAddress, $0.count) } }
      switch got {
      // It vanished meanwhile, or is none that programs may read (some file systems list such).
      case -Int(ENODATA), -Int(ENOTSUP): continue
      case ..<0: out.failures.append((key, Errno(rawValue: CInt(-got))))
      default: out.attributes.append(ExtendedAttribute(name: key, value: Array(value.prefix(got))))
      }
    }
    return out
  }
}
