import Glibc
internal import Platform

package func writeFile(_ path: String, _ bytes: [UInt8]) throws {
  try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600).write(bytes)
}

package func readFile(_ path: String) throws -> [UInt8] { try Descriptor.open(path).readAll(limit: 64 << 20) }

/// Runs `body` on `count` threads and waits for all of them.
package func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws {
  let workers = try (0..<count).map { number in try Worker("test-\(number)") { body(number) } }
  for worker in workers { worker.join() }
}
