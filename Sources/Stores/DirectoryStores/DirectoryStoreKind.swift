package import ObjectStores
internal import Platform
package import Reporting

extension StoreKind {
  /// Directories of this machine, disks and network shares that are mounted included. What stands behind `file:` is the
  /// path as it is; nothing in it is decoded.
  ///
  /// Nothing is tried again: file systems do that themselves, and for long. What they give up is given up.
  package static let directory = StoreKind(
    scheme: "file", form: "PATH or file:PATH (a directory)", isRemote: false,
    resolve: { address in
      let real = System.realPath(address)
      return StoreLocation(text: real ?? address, localPath: real)
    },
    open: { (address) throws(YesterError) in try DirectoryStore.open(address) },
    create: { (address, onLimitation) throws(YesterError) in
      try DirectoryStore.create(address, onLimitation: onLimitation)
    })
}

extension DirectoryStore {
  /// The store in a directory that is there; throws error 10 when it is not.
  package static func open(_ path: String) throws(YesterError) -> DirectoryStore {
    do throws(Errno) {
      let real = String(path: try System.resolve(path.pathBytes))
      if try FileStatus(of: real).isDirectory { return DirectoryStore(real) }
    } catch {
      // A disk that answers with an error is not one that is not there.
      guard [.notFound, .notDirectory].contains(error) else { throw YesterError.system("Opening", path, error) }
    }
    throw YesterError(
      .noRepository, "There is no directory \(path)",
      advice: "Check the path, or make a repository there with \"yester init\".")
  }
}
