internal import Platform

/// A file that holds a key or a password.
enum SecretFile {
  /// Why somebody else may know what it holds, as a sentence; nil when only its owner and root can read it. Pipes and
  /// the like are nobody's business.
  static func exposure(_ file: Descriptor, path: String) -> String? {
    guard let status = try? file.status(), status.isRegular else { return nil }
    if status.permissions & 0o077 != 0 {
      let digits = String(status.permissions, radix: 8)
      let mode = String(repeating: "0", count: max(0, 4 - digits.count)) + digits
      return "The file \(path), which opens the repository, is open to other users (mode \(mode)). Close it: "
        + "chmod 600 \(path)"
    }
    guard status.user == 0 || status.user == System.userID else {
      let name = String(decoding: System.userName(status.user), as: UTF8.self)
      return
        "The file \(path), which opens the repository, belongs to another user (\(name.isEmpty ? "number \(status.user)" : name)), "
        + "who can read and change it."
    }
    return nil
  }
}
