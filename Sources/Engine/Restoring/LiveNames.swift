internal import Platform

/// Whether a name that was found in a directory is there as it is written: on FAT, exFAT, NTFS, some network shares and
/// some directories of ext4, "Report" is found where only "report" is. What was found is then another one's file, and must
/// not be taken for this one's. One for each directory; one thread.
final class LiveNames {
  private enum State {
    case unknown
    /// Names are the same only when their bytes are.
    case exact
    case loose(Set<[UInt8]>)
  }
  private var state = State.unknown

  /// `name` was found in `directory`.
  func has(_ name: [UInt8], in directory: Descriptor) throws(Errno) -> Bool {
    switch state {
    case .exact: return true
    case .loose(let names): return names.contains(name)
    case .unknown: break
    }
    let other = name.map { Self.isLetter($0) ? $0 ^ 0x20 : $0 }
    if other == name { return true }
    do throws(Errno) {
      _ = try FileStatus(of: other, at: directory)
    } catch {
      if error == .notFound { state = .exact }
      return true
    }
    // Opened anew: a directory is read once through a descriptor, and this one is for others.
    let names = Set(try Directory.names(Descriptor.open(".", at: directory, Descriptor.directoryFlags)))
    let isHere = names.contains(name)
    state = isHere && names.contains(other) ? .exact : .loose(names)
    return isHere
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
  }
}
