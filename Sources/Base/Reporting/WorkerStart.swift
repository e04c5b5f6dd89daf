package import Platform

extension YesterError {
  /// There is no thread to do the work. Nothing that was stored is lost by it.
  package static func noThread(_ error: Errno) -> YesterError {
    YesterError(
      .failed, "The system has no room for another thread: \(error)",
      advice: "Raise the limit of processes (ulimit -u, or TasksMax of the service), and run the command again.",
      cause: error)
  }
}

extension Worker {
  /// As `init`, with an error for people.
  package static func started(
    _ name: String, _ body: @escaping @Sendable () -> Void
  ) throws(YesterError) -> Worker {
    do throws(Errno) {
      return try Worker(name, body)
    } catch {
      throw .noThread(error)
    }
  }

  /// Starts `count` threads, named after `name` and their number; all or none. Where one cannot be had, `end` is called,
  /// which must make the others return, and these are waited for before the error is thrown.
  package static func team(
    _ name: String, count: Int, end: () -> Void, _ body: @escaping @Sendable (_ number: Int) -> Void
  ) throws(YesterError) -> [Worker] {
    var workers: [Worker] = []
    do throws(YesterError) {
      for number in 0..<count { workers.append(try started("\(name)-\(number)") { body(number) }) }
    } catch {
      end()
      for worker in workers { worker.join() }
      throw error
    }
    return workers
  }
}
