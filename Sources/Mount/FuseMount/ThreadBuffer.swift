internal import Glibc

/// Memory for one answer, kept by each thread, so that no request allocates.
///
/// It is only valid inside of `body`, and calls must not be nested: the inner one would get the same memory.
enum ThreadBuffer {
  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    let result = pthread_key_create(&key) { free($0) }
    precondition(result == 0, "the process has no room for another thread-specific key")
    return key
  }()

  /// No request is larger: `max_read` is 1 MiB, directories are read in less.
  static let largest = 1 << 20
  private static let header = 64

  static func with(_ size: Int, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
    let size = min(size, largest)
    var base = pthread_getspecific(key)
    // The allocation begins with its own size.
    if base.map({ $0.load(as: Int.self) < size }) ?? true {
      free(base)
      let room = size <= 128 << 10 ? 128 << 10 : largest
      base = malloc(room + header)
      pthread_setspecific(key, base)
      base?.storeBytes(of: room, as: Int.self)
    }
    body(UnsafeMutableRawBufferPointer(start: base.map { $0 + header }, count: base == nil ? 0 : size))
  }
}
