internal import CFuse
internal import Glibc
internal import Platform
internal import SnapshotTree
internal import Synchronization

/// The table of functions that libfuse calls, on the thread that received the request.
///
/// What is left out libfuse answers itself: ACCESS is not asked for (the kernel checks permissions), IOCTL, locks and the
/// rest get ENOSYS, after which the kernel does without.
enum Operations {
  static func table() -> fuse_lowlevel_ops {
    var table = fuse_lowlevel_ops()
    table.`init` = { userData, connection in
      guard let adapter = adapter(userData), let connection else { return }
      adapter.negotiate(&connection.pointee)
    }
    addReading(&table)
    addOpening(&table)
    addRefusals(&table)
    return table
  }

  private static func addReading(_ table: inout fuse_lowlevel_ops) {
    table.lookup = { request, directory, name in
      answer(request) { adapter, reply in
        guard let name else { return }
        adapter.lookUp(UnsafeRawBufferPointer(start: name, count: strlen(name)), in: directory, reply)
      }
    }
    table.getattr = { request, node, _ in answer(request) { $0.attributes(of: node, $1) } }
    table.readlink = { request, node in answer(request) { $0.readLink(node, $1) } }
    table.read = { request, node, size, offset, _ in
      answer(request) { $0.read(node, size, at: Int64(offset), $1) }
    }
    table.lseek = { request, node, offset, whence, _ in
      answer(request) { $0.seek(node, from: Int64(offset), whence, $1) }
    }
    table.readdir = { request, node, size, offset, _ in
      guard let request else { return }
      answer(request) { $0.list(node, from: Int64(offset), size, wantsNodes: false, request, $1) }
    }
    table.readdirplus = { request, node, size, offset, _ in
      guard let request else { return }
      answer(request) { $0.list(node, from: Int64(offset), size, wantsNodes: true, request, $1) }
    }
    table.forget = { request, node, count in
      forget(request) { $0.didChangeHolds([HoldChange(node, -Int(clamping: count))]) }
    }
    table.forget_multi = { request, count, forgets in
      guard let forgets else { return }
      let changes = UnsafeBufferPointer(start: forgets, count: count).map {
        HoldChange($0.ino, -Int(clamping: $0.nlookup))
      }
      forget(request) { $0.didChangeHolds(changes) }
    }
    table.statfs = { request, _ in answer(request) { $0.totals($1) } }
    table.getxattr = { request, node, name, size in
      answer(request) { adapter, reply in
        guard let name else { return }
        adapter.attribute(name, of: node, room: size, reply)
      }
    }
    table.listxattr = { request, node, size in answer(request) { $0.attributeNames(of: node, room: size, $1) } }
  }

  /// ENOSYS to the first open, and the kernel opens everything by itself from then on.
  private static func addOpening(_ table: inout fuse_lowlevel_ops) {
    table.open = { request, _, file in
      answer(request) { adapter, reply in
        if let flags = file?.pointee.flags, flags & O_ACCMODE != O_RDONLY {
          adapter.refuse(reply)
          return
        }
        guard var file = file?.pointee, !adapter.kernelOpensFiles.load(ordering: .relaxed) else {
          reply.error(Errno(rawValue: ENOSYS))
          return
        }
        file.keep_cache = 1
        reply.opened(file)
      }
    }
    table.opendir = { request, _, file in
      answer(request) { adapter, reply in
        guard let file = file?.pointee, !adapter.kernelOpensDirectories.load(ordering: .relaxed) else {
          reply.error(Errno(rawValue: ENOSYS))
          return
        }
        reply.opened(file)
      }
    }
    table.flush = { request, _, _ in answer(request) { $1.error(Errno(rawValue: ENOSYS)) } }
  }

  /// The mount is read-only, so the kernel refuses all of these by itself, unless somebody remounts it.
  private static func addRefusals(_ table: inout fuse_lowlevel_ops) {
    table.setattr = { request, _, _, _, _ in refuse(request) }
    table.mknod = { request, _, _, _, _ in refuse(request) }
    table.mkdir = { request, _, _, _ in refuse(request) }
    table.unlink = { request, _, _ in refuse(request) }
    table.rmdir = { request, _, _ in refuse(request) }
    table.symlink = { request, _, _, _ in refuse(request) }
    table.rename = { request, _, _, _, _, _ in refuse(request) }
    table.link = { request, _, _, _ in refuse(request) }
    table.write = { request, node, _, _, _, _ in answer(request) { $0.refuseContent(of: node, $1) } }
    table.setxattr = { request, _, _, _, _, _ in refuse(request) }
    table.removexattr = { request, _, _ in refuse(request) }
    table.create = { request, _, _, _, _ in refuse(request) }
    table.fallocate = { request, _, _, _, _, _ in refuse(request) }
    table.copy_file_range = { request, _, _, _, _, _, _, _, _ in refuse(request) }
  }
}

// Functions outside of a type, because a C function pointer must not capture even that.

private func adapter(_ userData: UnsafeMutableRawPointer?) -> Adapter? {
  userData.map { Unmanaged<Adapter>.fromOpaque($0).takeUnretainedValue() }
}

/// FORGET is not answered.
private func forget(_ request: fuse_req_t?, _ body: (any FileSystemModel) -> Void) {
  guard let request else { return }
  if let adapter = adapter(fuse_req_userdata(request)) { body(adapter.model) }
  fuse_reply_none(request)
}

/// Runs `body` with the request's answer, which it must give.
private func answer(_ request: fuse_req_t?, _ body: (Adapter, consuming Reply) -> Void) {
  guard let request, let adapter = adapter(fuse_req_userdata(request)) else { return }
  body(adapter, Reply(request))
}

private func refuse(_ request: fuse_req_t?) { answer(request) { $0.refuse($1) } }
