internal import Glibc
internal import Platform

/// systemd's notification protocol (sd_notify(3)), without its library.
enum ServiceManager {
  /// Sends lines of `NAME=value` to whoever started us and asked for them.
  static func tell(_ lines: String) {
    guard let path = System.environment("NOTIFY_SOCKET"), path.hasPrefix("/") || path.hasPrefix("@") else { return }
    var bytes = path.pathBytes
    // An abstract socket's name begins with a zero byte.
    if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let raw = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    guard raw >= 0 else { return }
    defer { close(raw) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    let message = Array(lines.utf8)
    withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        _ = sendto(raw, message, message.count, 0, address, length)
      }
    }
  }
}
