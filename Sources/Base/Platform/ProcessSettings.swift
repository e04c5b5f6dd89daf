internal import CLinux

/// Settings of the whole process, made once at its start.
package enum ProcessSettings {
  /// Many open files, no core dumps (they would hold keys), errors instead of SIGPIPE, the ends of children, memory given back, and no file
  /// of ours under the number of standard output.
  package static func apply() {
    yl_occupy_standard_descriptors()
    yl_tune_malloc()
    yl_protect_memory()
    yl_ignore_sigpipe()
    yl_heed_sigchld()
    _ = yl_raise_open_files()
  }

  /// Calls `handler` on SIGINT, SIGTERM and SIGHUP; it may only do what is safe in a signal handler. A signal that the
  /// process was started to ignore, as nohup(1) does, goes on being ignored.
  package static func onTermination(_ handler: @convention(c) (Int32) -> Void) { yl_on_termination(handler) }

  /// Whether one of these signals has come since `onTermination`, or while a question stood.
  package static var isTerminated: Bool { yl_termination_arrived() != 0 }
}
