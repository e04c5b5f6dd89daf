internal import Glibc
internal import Platform
internal import Synchronization

/// SIGINT, SIGTERM and SIGHUP end the mount in an orderly way.
enum Termination {
  private static let descriptor = Atomic<CInt>(-1)

  /// From now on one of these signals is written to an eventfd, which is all a signal handler may do.
  static func lead(to exitDescriptor: CInt) {
    descriptor.store(exitDescriptor, ordering: .sequentiallyConsistent)
    ProcessSettings.onTermination { _ in
      let saved = errno
      var one: UInt64 = 1
      _ = write(Termination.descriptor.load(ordering: .sequentiallyConsistent), &one, 8)
      errno = saved
    }
  }
}
