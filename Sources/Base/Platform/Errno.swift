internal import Glibc

/// The error number of a system call.
package struct Errno: Error, Hashable, Sendable, CustomStringConvertible {
  package let rawValue: CInt
  package init(rawValue: CInt) { self.rawValue = rawValue }

  package static let notFound = Errno(rawValue: ENOENT)
  package static let exists = Errno(rawValue: EEXIST)
  package static let notDirectory = Errno(rawValue: ENOTDIR)
  package static let isDirectory = Errno(rawValue: EISDIR)
  package static let denied = Errno(rawValue: EACCES)
  package static let notPermitted = Errno(rawValue: EPERM)
  package static let inputOutput = Errno(rawValue: EIO)
  package static let invalid = Errno(rawValue: EINVAL)
  package static let noSpace = Errno(rawValue: ENOSPC)
  package static let overQuota = Errno(rawValue: EDQUOT)
  package static let readOnly = Errno(rawValue: EROFS)
  package static let tooLarge = Errno(rawValue: EFBIG)
  package static let tooManyLinks = Errno(rawValue: ELOOP)
  package static let notSupported = Errno(rawValue: ENOTSUP)
  package static let noData = Errno(rawValue: ENODATA)
  package static let notEmpty = Errno(rawValue: ENOTEMPTY)
  package static let range = Errno(rawValue: ERANGE)
  package static let crossDevice = Errno(rawValue: EXDEV)
  package static let busy = Errno(rawValue: EBUSY)
  package static let wouldBlock = Errno(rawValue: EAGAIN)
  package static let interrupted = Errno(rawValue: EINTR)
  package static let timedOut = Errno(rawValue: ETIMEDOUT)
  package static let stale = Errno(rawValue: ESTALE)
  package static let notImplemented = Errno(rawValue: ENOSYS)
  package static let badDescriptor = Errno(rawValue: EBADF)
  /// A file has as many names as the file system allows.
  package static let tooManyNames = Errno(rawValue: EMLINK)
  package static let nameTooLong = Errno(rawValue: ENAMETOOLONG)
  /// A name that the file system cannot hold: on FAT and NTFS, one that is no UTF-8.
  package static let illegalBytes = Errno(rawValue: EILSEQ)
  /// The program that serves a FUSE file system has ended.
  package static let notConnected = Errno(rawValue: ENOTCONN)
  package static let connectionAborted = Errno(rawValue: ECONNABORTED)
  package static let noDevice = Errno(rawValue: ENODEV)
  package static let noSuchDevice = Errno(rawValue: ENXIO)
  package static let shutDown = Errno(rawValue: ESHUTDOWN)

  /// What file systems say that cannot be told to bring a file or directory to the disk.
  package var refusesToSync: Bool {
    [.invalid, .notSupported, .notImplemented, .badDescriptor, .isDirectory].contains(self)
  }

  /// The error of the libc call that has just failed on this thread.
  package static var current: Errno { Errno(rawValue: errno) }

  /// Takes the result of a `yl_` shim: negative values are negated errno numbers.
  @discardableResult
  package static func check<Value: SignedInteger>(_ result: Value) throws(Errno) -> Int {
    if result < 0 { throw Errno(rawValue: CInt(-Int(result))) }
    return Int(result)
  }

  /// The system's words for it, without a full stop.
  package var description: String {
    var buffer = [CChar](repeating: 0, count: 256)
    _ = strerror_r(rawValue, &buffer, buffer.count - 1)
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
