internal import Glibc
internal import Platform

/// The folder of the local caches of all repositories that tests open. It goes when the process ends.
///
/// It is handed to `Repository.open`. The environment is one for all tests, which run at the same time: whoever set a
/// place there moved the caches of the others, too.
package let testCaches: String = {
  atexit { removeTree("/tmp/yester-test-caches-\(System.processID)") }
  return "/tmp/yester-test-caches-\(System.processID)"
}()
