internal import FuseMount
internal import MountNamespace
internal import Platform
internal import Reporting
internal import RepositoryOpening
internal import SnapshotTree

/// Opens the repository that the options name, as the file system that the mount shows.
func openModel(
  _ options: DriverOptions, _ counts: RequestCounts
) throws(YesterError) -> any FileSystemModel {
  var access = RepositoryAccess(stores: LinkedStores.registry)
  access.warn = { DriverLog.write(.warning, $0) }
  access.askPassword = { (question) throws(YesterError) in
    do throws(Errno) {
      return try Terminal.controlling()?.ask(question, isHidden: true)
    } catch {
      throw YesterError.asking(error)
    }
  }
  access.repository = options.source
  switch options.secret {
  case .keyFile(let path): access.keyFile = path
  case .passwordFile(let path): access.passwordFile = path
  case .passwordCommand(let command): access.passwordCommand = command
  case .passwordDescriptor(let number): access.passwordDescriptor = number
  case nil: break
  }
  let repository = try access.open(cacheSize: options.cacheSize ?? 64 << 20)
  var shown = Namespace.Options(host: options.showsAllHosts ? nil : options.host ?? System.hostName)
  shown.requests = counts
  shown.listsAllNames = options.listsAllNames
  let model = try Namespace(repository, shown) { DriverLog.write(.error, $0) }
  if let absence = model.absence {
    guard options.host == nil else {
      model.close()
      throw absence
    }
    // A machine may mount before its first backup, at its start say: its snapshots appear when there are some.
    DriverLog.write(.warning, "\(absence.message), so that the mount is empty. \(absence.advice)")
  }
  return model
}
