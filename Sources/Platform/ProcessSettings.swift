internal import CLinux

/// Settings of the whole process, made once at its start.
package enum ProcessSettings {
  /// Many open files, no core dumps (they would hold keys), errors instead of SIGPIPE, memory given back.
  package static func apply() {
    yl_tune_malloc()
    yl_protect_memory()
    yl_ignore_sigpipe()
    _ = yl_raise_open_files()
  }

  /// Calls `handler` on SIGINT, SIGTERM and SIGHUP; it may only do what is safe in a signal handler.
  package static func onTermination(_ handler: @convention(c) (Int32) -> Void) { yl_on_termination(handler) }
}
