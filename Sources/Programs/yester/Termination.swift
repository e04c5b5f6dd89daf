internal import ChunkCodec
internal import Glibc
internal import Platform
internal import Synchronization

/// How the program comes to its end when somebody asks for it, and what else is set once for the whole process.
enum Termination {
  /// Raised by SIGINT, SIGTERM and SIGHUP: runs then end soon, and what was stored stays.
  static let stop = CancellationFlag()

  static func prepare() {
    ProcessSettings.apply()
    CryptoLibrary.leaveCleaningUpToTheSystem()
    // What the handler uses must have been made before.
    _ = Screen.statusLine
    ProcessSettings.onTermination { _ in
      // A second signal ends the program at once.
      if Termination.stop.isRaised {
        Screen.statusLine.eraseAtOnce()
        _exit(130)
      }
      Termination.stop.raise()
    }
  }
}
