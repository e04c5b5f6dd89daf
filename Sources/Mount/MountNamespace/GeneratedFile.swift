internal import Glibc
internal import Platform
internal import Reporting

/// A file of the mount that is written when somebody reads it: kept in a file without a name, so that it takes no
/// memory, until something newer replaces it.
final class GeneratedFile: Sendable {
  private let file: Descriptor

  /// `generate` gets a function that takes parts of the content.
  init(_ generate: ((_ part: [UInt8]) throws -> Void) throws -> Void) throws {
    let path = "/tmp/.yester-" + Hex.encode(System.random(16))
    do throws(Errno) {
      file = try Descriptor.open(path, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
      try FileSystem.removeFile(path.pathBytes, at: nil)
    } catch {
      throw YesterError.system("Writing a temporary file in", "/tmp", error)
    }
    var buffer: [UInt8] = []
    try generate { part in
      buffer.append(contentsOf: part)
      if buffer.count >= 1 << 18 {
        try file.write(buffer)
        buffer.removeAll(keepingCapacity: true)
      }
    }
    try file.write(buffer)
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    guard offset <= UInt64(Int64.max) else { return 0 }
    return try file.read(into: buffer, at: Int64(offset))
  }

  var size: UInt64 { (try? file.status().size) ?? 0 }
}
