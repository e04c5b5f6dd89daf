internal import Glibc
internal import Platform
package import RepositoryCore
package import RepositoryFormat

/// The folder of the local caches of all repositories that tests open. It goes when the process ends.
///
/// It is handed to `Repository.open`. The environment is one for all tests, which run at the same time: whoever set a
/// place there moved the caches of the others, too.
package let testCaches: String = {
  atexit { removeTree("/tmp/yester-test-caches-\(System.processID)") }
  return "/tmp/yester-test-caches-\(System.processID)"
}()

/// The same, with the memories of repositories.
package let testFolders = LocalFolders(caches: testCaches, memories: testCaches + "/memories")

/// Removes what this machine keeps of a repository.
package func forget(_ id: RepositoryID) {
  removeTree(testFolders.caches + "/" + id.description)
  try? FileSystem.removeFile((testFolders.memories + "/" + id.description).pathBytes, at: nil)
}
