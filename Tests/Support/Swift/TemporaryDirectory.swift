internal import Platform

/// Runs `body` with a new directory under /tmp, and removes it with all that is in it, whatever happens.
package func withTemporaryDirectory<Value>(_ body: (String) throws -> Value) throws -> Value {
  let path = "/tmp/yester-test-" + Hex.encode(System.random(8))
  try Directory.makeAll(path)
  defer { removeTree(path) }
  return try body(path)
}

/// A new directory under /tmp for as long as it is held, for fixtures.
package final class TemporaryDirectory: Sendable {
  package let path = "/tmp/yester-test-" + Hex.encode(System.random(8))
  package init() throws { try Directory.makeAll(path) }
  deinit { removeTree(path) }
}

/// Removes a file, or a directory with all that is in it. What is not there is no error.
package func removeTree(_ path: String) { removeTree(Array(path.utf8)) }

private func removeTree(_ path: [UInt8]) {
  if (try? FileStatus(of: path))?.isDirectory == true {
    let names = (try? Directory.names(Descriptor.open(path, Descriptor.directoryFlags))) ?? []
    for name in names { removeTree(path + [UInt8(ascii: "/")] + name) }
    try? FileSystem.removeDirectory(path, at: nil)
  } else {
    try? FileSystem.removeFile(path, at: nil)
  }
}
