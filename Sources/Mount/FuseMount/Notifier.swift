internal import CFuse
internal import Platform

/// Tells the kernel what to forget, from a thread that serves no request and holds no lock.
///
/// For names it only makes the kernel faster to forget: all that may change has short timeouts besides. Content it must
/// forget where a program changed it in the kernel's memory, which the kernel would show for ever. The thread sleeps
/// until there is something to tell.
final class Notifier: Sendable {
  private struct State {
    var names: [[UInt8]] = []
    /// Whose content the kernel holds wrongly.
    var nodes: Set<UInt64> = []
    var isEnding = false
    /// libfuse's session; nil before the mount and after its end.
    var session: SessionHandle?
    var isBusy = false
  }

  private static let root: fuse_ino_t = 1
  private let monitor = Monitor(State())

  /// Throws when there is no room for the thread.
  func start(_ session: SessionHandle) throws(Errno) {
    monitor.withLock { $0.session = session }
    _ = try Worker("yfs-notify") { [self] in
      while let (names, nodes, session) = next() {
        for node in nodes { fuse_lowlevel_notify_inval_inode(session.raw, node, 0, 0) }
        for name in names { tell(name, session) }
        // The root's listing and its times.
        if !names.isEmpty { fuse_lowlevel_notify_inval_inode(session.raw, Self.root, 0, 0) }
        monitor.update { $0.isBusy = false }
      }
    }
  }

  func forget(_ names: [[UInt8]]) {
    monitor.update { state in
      guard !state.isEnding else { return }
      state.names.append(contentsOf: names)
    }
  }

  /// Content and attributes of a node are to be asked for again.
  func forgetContent(of node: UInt64) {
    monitor.update { state in
      guard !state.isEnding else { return }
      state.nodes.insert(node)
    }
  }

  /// Ends the thread; false when it is still held up in the kernel after `milliseconds`.
  func stop(milliseconds: Int) -> Bool {
    monitor.update { $0.isEnding = true }
    return monitor.wait(milliseconds: milliseconds) { $0.isBusy ? nil : true } ?? false
  }

  private func next() -> ([[UInt8]], Set<UInt64>, SessionHandle)? {
    monitor.wait { state -> ([[UInt8]], Set<UInt64>, SessionHandle)?? in
      guard !state.isEnding, let session = state.session else { return .some(nil) }
      guard !state.names.isEmpty || !state.nodes.isEmpty else { return nil }
      state.isBusy = true
      defer {
        state.names = []
        state.nodes = []
      }
      return .some((state.names, state.nodes, session))
    }
  }

  /// ENOENT only says that the kernel knew nothing of the name.
  private func tell(_ name: [UInt8], _ session: SessionHandle) {
    _ = name.withCPath { fuse_lowlevel_notify_inval_entry(session.raw, Self.root, $0, name.count) }
  }
}

/// A pointer to libfuse's session for other threads.
///
/// `@unchecked Sendable`: libfuse allows notifications and the receiving of requests from any thread, and the session
/// outlives all who hold this.
struct SessionHandle: @unchecked Sendable {
  let raw: OpaquePointer
}
