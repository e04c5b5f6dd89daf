// libfuse 3, low-level interface. The wrappers stand for what Swift does not import: macros, variadic functions,
// fork(2), and Linux calls that Glibc's module leaves out. They are prefixed yf_; each says why it is there.
#ifndef YESTER_CFUSE_H
#define YESTER_CFUSE_H
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <syslog.h>
#include <unistd.h>

// Swift marks fork unavailable. The driver forks before its first thread, which is when fork is safe.
static inline int yf_fork(void) { return fork(); }

// syslog and fuse's log function are variadic.
static inline void yf_open_syslog(const char *name) { openlog(name, LOG_PID, LOG_DAEMON); }
static inline void yf_syslog(int priority, const char *line) { syslog(priority, "%s", line); }

// libfuse writes its messages to stderr, which a daemon has not: they go to `sink` instead. The variable is one per
// object file, so only one Swift file may use this.
typedef void (*yf_log_sink)(int level, const char *line);
static inline yf_log_sink *yf_log_sink_place(void) {
  static yf_log_sink sink;
  return &sink;
}
static inline void yf_log_line(enum fuse_log_level level, const char *format, va_list arguments) {
  char line[512];
  vsnprintf(line, sizeof line, format, arguments);
  if (*yf_log_sink_place()) (*yf_log_sink_place())((int)level, line);
}
static inline void yf_set_log(yf_log_sink sink) {
  *yf_log_sink_place() = sink;
  fuse_set_log_func(yf_log_line);
}

// FUSE_ARGS_INIT is a macro. libfuse only reads what `argv` points to and copies what it changes.
static inline struct fuse_session *yf_session_new(int argc, const char *const *argv,
                                                  const struct fuse_lowlevel_ops *operations, void *userdata) {
  struct fuse_args args = FUSE_ARGS_INIT(argc, (char **)argv);
  struct fuse_session *session = fuse_session_new(&args, operations, sizeof *operations, userdata);
  fuse_opt_free_args(&args);
  return session;
}

// The capability flags are macros with shifts.
enum {
  yf_cap_async_read = FUSE_CAP_ASYNC_READ,
  yf_cap_export = FUSE_CAP_EXPORT_SUPPORT,
  yf_cap_auto_inval_data = FUSE_CAP_AUTO_INVAL_DATA,
  yf_cap_readdirplus = FUSE_CAP_READDIRPLUS,
  yf_cap_no_open = FUSE_CAP_NO_OPEN_SUPPORT,
  yf_cap_no_opendir = FUSE_CAP_NO_OPENDIR_SUPPORT,
  yf_cap_parallel_dirops = FUSE_CAP_PARALLEL_DIROPS,
  yf_cap_posix_acl = FUSE_CAP_POSIX_ACL,
  yf_cap_cache_symlinks = FUSE_CAP_CACHE_SYMLINKS,
};

// sys/eventfd.h and sys/mount.h are not part of Glibc's module.
static inline int yf_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
// Takes a mount away at once, for whoever still uses it later (lazily); `force` also ends what is under way.
static inline int yf_umount(const char *path, int force) {
  return umount2(path, MNT_DETACH | (force ? MNT_FORCE : 0)) < 0 ? -errno : 0;
}

// mount(2) has its flags in sys/mount.h. The flags of a mount are set anew by a remount.
static inline int yf_remount_read_only(const char *path, int nosuid, int nodev, int noexec) {
  unsigned long flags = MS_REMOUNT | MS_RDONLY | MS_RELATIME | (nosuid ? MS_NOSUID : 0) | (nodev ? MS_NODEV : 0) |
                        (noexec ? MS_NOEXEC : 0);
  return mount("none", path, NULL, flags, NULL) < 0 ? -errno : 0;
}

// fcntl is variadic.
static inline int yf_set_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}
#endif
