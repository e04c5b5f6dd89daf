internal import ChunkCodec
internal import FuseMount
internal import Glibc
internal import Platform

internal import ObjectStores
internal import Reporting
internal import SnapshotTree

/// The life of the driver: options, checks, into the background, open, mount, serve, close.
///
/// Threads: none until the background process exists, since only the calling thread survives a fork.
enum Driver {
  /// Time for the model to give back its leases when the mount has ended.
  private static let closeMilliseconds = 3000

  /// Gives the exit status of the process.
  static func run(_ arguments: [String]) -> Int32 {
    ProcessSettings.apply()
    CryptoLibrary.leaveCleaningUpToTheSystem()
    do throws(YesterError) {
      switch try OptionParser.parse(arguments) {
      case .help:
        return try show(DriverHelp.text)
      case .version:
        return try show("yesterfs \(ProgramVersion.number)\n")
      case .mount(let options): return try mount(options)
      }
    } catch {
      return fail(error)
    }
  }

  private static func show(_ text: String) throws(YesterError) -> Int32 {
    do throws(Errno) {
      try Descriptor(owning: 1).write(Array(text.utf8))
    } catch {
      // That nobody reads it any more is no error.
      guard error.rawValue != EPIPE else { return 0 }
      throw YesterError(.failed, "standard output cannot be written to: \(error)", cause: error)
    }
    return 0
  }

  private static func mount(_ given: DriverOptions) throws(YesterError) -> Int32 {
    var options = given
    // The background process leaves this directory.
    let location = try LinkedStores.registry.resolve(options.source)
    options.source = location.text
    options.sourceDirectory = location.localPath
    try Mount.check(options)
    if options.isForeground { return try serve(options, background: nil) }

    switch try Background.begin() {
    case .parent(let waiting):
      try waiting.wait()
      return 0
    case .child(let background):
      do throws(YesterError) {
        return try serve(options, background: background)
      } catch {
        background.report(error)
        return error.code.rawValue
      }
    }
  }

  private static func serve(_ options: DriverOptions, background: Background?) throws(YesterError) -> Int32 {
    let counts = RequestCounts(names: RequestKind.names)
    let model = try openModel(options, counts)
    let mount: Mount
    do throws(YesterError) {
      mount = try Mount(model, options, counts: counts)
    } catch {
      model.close()
      throw error
    }
    Termination.lead(to: mount.exitDescriptor)
    do throws(YesterError) {
      try mount.start()
    } catch {
      mount.requestStop()
      if mount.waitForEnd() == .clean { model.close() }
      throw error
    }
    background?.becomeReady()
    ServiceManager.tell("READY=1\nMAINPID=\(System.processID)\nSTATUS=\(options.source) on \(mount.path)")

    let ending = mount.waitForEnd()
    DriverLog.write(.notice, "\(mount.path) is unmounted after \(counts.total) requests")
    ServiceManager.tell("STOPPING=1")
    guard ending == .clean else {
      DriverLog.write(.error, "\(mount.path) was unmounted while a request hung; the repository was not closed")
      // A thread is inside the model: nothing may be torn down under it.
      _exit(YesterError.Code.failed.rawValue)
    }
    // A store that is out of reach must not keep the process from ending.
    let isClosed = Monitor(false)
    let close: @Sendable () -> Void = {
      model.close()
      isClosed.update { $0 = true }
    }
    // Without room for a thread it may take as long as it takes: better than a lease that stays.
    if Worker(ifThereIsRoom: "yfs-close", close) == nil { close() }
    guard isClosed.wait(milliseconds: closeMilliseconds, { $0 ? true : nil }) ?? false else {
      DriverLog.write(.error, "\(mount.path) was unmounted, but the repository could not be closed in time")
      _exit(YesterError.Code.failed.rawValue)
    }
    return 0
  }

  private static func fail(_ error: YesterError) -> Int32 {
    DriverLog.write(.error, error.description)
    return error.code.rawValue
  }
}
