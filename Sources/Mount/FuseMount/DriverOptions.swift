internal import ChunkCodec

/// What the driver is asked to do, from its command line.
package struct DriverOptions: Sendable, Equatable {
  /// How the repository is opened. At most one is given; none means the environment or a prompt.
  package enum Secret: Sendable, Equatable {
    case keyFile(String)
    case passwordFile(String)
    case passwordCommand(String)
    case passwordDescriptor(Int32)
  }

  /// The location of the repository.
  package var source: String
  /// Its directory, when it is one of this machine: nothing may be mounted in it or over it.
  package var sourceDirectory: String?
  package var mountPoint: String

  package var secret: Secret?
  /// Whose snapshots are shown; nil is this host.
  package var host: String?
  package var showsAllHosts = false
  /// Each snapshot is listed under its own name as well where its day alone would do.
  package var listsAllNames = false
  /// In bytes; nil leaves it to the reader.
  package var cacheSize: Int?

  /// Shown instead of the true owner, for the user who mounts another machine's snapshots.
  package var user: UInt32?
  package var group: UInt32?
  /// Permission bits that are taken away from everything.
  package var umask: UInt32?

  package var isForeground = false
  /// Others than the user who mounts may enter. Nil: for root yes, otherwise no.
  package var allowsOthers: Bool?
  /// The mount point may have content, which is hidden then.
  package var allowsContent = false
  /// Set-uid programs and devices in snapshots take effect. An old set-uid program may have a known hole.
  package var honoursSetUID = false
  package var honoursDevices = false
  package var forbidsExecution = false
  /// Workers; nil: as many as processors, from 2 to 4.
  package var threads: Int?

  package init(source: String, mountPoint: String) {
    self.source = source
    self.mountPoint = mountPoint
  }
}
