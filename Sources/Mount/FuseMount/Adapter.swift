internal import CFuse
internal import Glibc
internal import Platform
internal import SnapshotTree
internal import Synchronization

/// Answers the kernel's requests from a `FileSystemModel`.
///
/// Its methods are called by the workers, several at a time. It holds no lock while it asks the model or answers.
final class Adapter: Sendable {
  static let root = UInt64(FUSE_ROOT_ID)

  let model: any FileSystemModel
  let answers: NodeAnswers
  let refresher: Refresher
  private let notifier: Notifier
  /// An eventfd that can be read when the kernel has let a change through, which it does on a mount for writing only.
  let changeAttempted = Descriptor(owning: yf_eventfd())
  /// The client sees owners and permissions as they are, so access lists mean something.
  let honoursAccessLists: Bool
  /// Kernels before 3.16 (files) and 5.1 (directories) ask to open each one.
  let kernelOpensFiles = Atomic(true)
  let kernelOpensDirectories = Atomic(true)

  init(model: any FileSystemModel, _ notifier: Notifier, _ options: DriverOptions) {
    self.model = model
    self.notifier = notifier
    refresher = Refresher(model: model, notifier: notifier)
    model.begin { notifier.forget($0) }
    answers = NodeAnswers(user: options.user, group: options.group, umask: options.umask)
    honoursAccessLists = options.user == nil && options.group == nil && options.umask == nil
  }

  func lookUp(_ name: UnsafeRawBufferPointer, in directory: UInt64, _ reply: consuming Reply) {
    do throws(Errno) {
      guard name.count <= Int(NAME_MAX) else { throw Errno(rawValue: ENAMETOOLONG) }
      if directory == Self.root { _ = refresher.refreshIfDue() }
      var info = try find(name, in: directory)
      if let found = info, !found.isNameFixed, refresher.refreshIfDue() { info = try find(name, in: directory) }
      if let info { return tell(info, in: directory, reply) }
      // Names never appear in a directory that does not change.
      guard try !model.attributes(of: directory).isImmutable else {
        reply.entry(NodeAnswers.nothing(seconds: NodeAnswers.forever))
        return
      }
      if refresher.refreshIfDue(), let info = try find(name, in: directory) {
        tell(info, in: directory, reply)
      } else {
        reply.entry(NodeAnswers.nothing(seconds: NodeAnswers.short))
      }
    } catch {
      reply.error(error)
    }
  }

  /// From here on the kernel holds the node, until it sends FORGET. The model knows before that can come.
  private func tell(_ info: NodeInfo, in directory: UInt64, _ reply: consuming Reply) {
    model.didChangeHolds([HoldChange(info.node, 1)])
    if !reply.entry(answers.entry(info, in: directory, refresher.lastChange)) {
      model.didChangeHolds([HoldChange(info.node, -1)])
    }
  }

  /// Nil when there is no such name. `.` and `..` are asked for when somebody comes with a file handle, as NFS does.
  private func find(_ name: UnsafeRawBufferPointer, in directory: UInt64) throws(Errno) -> NodeInfo? {
    if name.count <= 2, name.allSatisfy({ $0 == UInt8(ascii: ".") }) {
      return try model.found(name.count == 1 ? directory : model.parent(of: directory))
    }
    do throws(Errno) {
      return try model.lookUp(name, in: directory)
    } catch {
      if error == .notFound { return nil }
      throw error
    }
  }

  func attributes(of node: UInt64, _ reply: consuming Reply) {
    do throws(Errno) {
      if node == Self.root { _ = refresher.refreshIfDue() }
      var info = try model.attributes(of: node)
      if !info.isImmutable, refresher.refreshIfDue() { info = try model.attributes(of: node) }
      reply.attributes(answers.attributes(info, refresher.lastChange), seconds: answers.attributeSeconds(info))
    } catch {
      reply.error(error)
    }
  }

  func readLink(_ node: UInt64, _ reply: consuming Reply) {
    do throws(Errno) {
      let target = try model.readLink(node)
      // The kernel would take a longer one for trouble with the device.
      guard target.count < Int(PATH_MAX) else { throw Errno(rawValue: ENAMETOOLONG) }
      reply.link(target)
    } catch {
      reply.error(error)
    }
  }

  func read(_ node: UInt64, _ size: Int, at offset: Int64, _ reply: consuming Reply) {
    guard offset >= 0 else {
      reply.error(.invalid)
      return
    }
    do throws(Errno) {
      reply.parts(try model.read(node, at: UInt64(offset), count: min(size, Int(Self.maximumRead))))
    } catch {
      reply.error(error)
    }
  }

  func seek(_ node: UInt64, from offset: Int64, _ whence: CInt, _ reply: consuming Reply) {
    do throws(Errno) {
      guard offset >= 0 else { throw Errno(rawValue: ENXIO) }
      guard whence == Seek.data || whence == Seek.hole else { throw .invalid }
      reply.position(try model.seek(node, from: UInt64(offset), toHole: whence == Seek.hole))
    } catch {
      reply.error(error)
    }
  }

  /// From `linux/fs.h`; Glibc's module hides them.
  private enum Seek {
    static let data: CInt = 3
    static let hole: CInt = 4
  }

  /// No blocks, as /proc has none. A total with nothing free is "100 % used", which monitoring takes for an alarm, and
  /// nothing here could be called free: the room is the repository's. `.yester/stats` says how much the snapshots hold.
  func totals(_ reply: consuming Reply) {
    var out = statvfs()
    out.f_bsize = 4096
    out.f_frsize = 4096
    out.f_namemax = UInt(NAME_MAX)
    reply.totals(out)
  }

  func attribute(_ name: UnsafePointer<CChar>, of node: UInt64, room: Int, _ reply: consuming Reply) {
    let name = Array(UnsafeRawBufferPointer(start: name, count: strlen(name)))
    do throws(Errno) {
      reply.value(try model.attribute(name, of: node), room: room)
    } catch {
      reply.error(error)
    }
  }

  func attributeNames(of node: UInt64, room: Int, _ reply: consuming Reply) {
    do throws(Errno) {
      var list: [UInt8] = []
      // The kernel refuses a list with an empty name in it as a whole.
      for name in try model.attributeNames(of: node) where !name.isEmpty && !name.contains(0) {
        list.append(contentsOf: name)
        list.append(0)
      }
      reply.value(list, room: room)
    } catch {
      reply.error(error)
    }
  }

  /// Refuses what would change something.
  func refuse(_ reply: consuming Reply) {
    reply.error(.readOnly)
    var one: UInt64 = 1
    _ = Glibc.write(changeAttempted.raw, &one, 8)
  }

  /// Refuses to write content. A mapping has changed it in the kernel's memory by now, for all who read it.
  func refuseContent(of node: UInt64, _ reply: consuming Reply) {
    refuse(reply)
    notifier.forgetContent(of: node)
  }
}
