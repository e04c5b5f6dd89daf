/// Something that a snapshot can be made of: files that lie on a disk, dumps that come through pipes, members of an
/// archive.
///
/// A source tells the writer of entries, from the root on, in the order of a tree: a directory, what is in it by the
/// bytes of the names, its end. What it knows of an entry (owner, mode, times, attributes) is its own affair. It runs on
/// the thread that makes the snapshot, and may use others.
package protocol SnapshotSource {
  /// What the record names as the sources: absolute paths in the snapshot, 1,000 at most. A base is best compared with
  /// when it has the same.
  var names: [[UInt8]] { get }

  /// Enters the root, and leaves it when all has been told. An error ends the run, and no snapshot is made.
  func write(to writer: SnapshotWriter) throws
}
