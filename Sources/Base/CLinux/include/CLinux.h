// Linux system calls that the Glibc module hides behind _GNU_SOURCE or that Swift cannot call (variadic
// functions, macros). Every function returns a negative errno on failure, so that no caller reads errno.
#ifndef YESTER_CLINUX_H
#define YESTER_CLINUX_H

#include <stddef.h>
#include <stdint.h>

// What statx(2) says, in fixed-size fields; struct statx itself is hidden by Glibc's module.
struct yl_stat {
  uint32_t mode, nlink, uid, gid;
  uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
  uint64_t ino, size, blocks, mnt_id;
  int64_t atime_s, mtime_s, ctime_s, btime_s;
  uint32_t atime_ns, mtime_ns, ctime_ns, btime_ns;
  uint32_t has_btime, blksize;
};

extern const int yl_o_directory, yl_o_nofollow, yl_o_noatime, yl_o_path, yl_o_cloexec, yl_o_tmpfile;
extern const int yl_at_fdcwd, yl_at_symlink_nofollow, yl_at_empty_path, yl_at_removedir, yl_at_statx_dont_sync;
extern const int yl_rename_noreplace, yl_rename_exchange;
extern const int yl_seek_data, yl_seek_hole;
extern const int yl_fadv_sequential, yl_fadv_dontneed, yl_fadv_noreuse;

int yl_statx(int dirfd, const char *path, int flags, struct yl_stat *out);
int yl_openat(int dirfd, const char *path, int flags, uint32_t mode);
int yl_fchdir(int fd);
// A pipe whose ends are closed when another program is executed.
int yl_pipe(int *reading, int *writing);
long yl_getdents(int fd, void *buffer, size_t size);
int yl_renameat2(int olddir, const char *old, int newdir, const char *new_, unsigned flags);
int yl_linkat(int olddir, const char *old, int newdir, const char *new_, int flags);
int yl_syncfs(int fd);
/// sync_file_range(2) with SYNC_FILE_RANGE_WRITE: nothing is waited for.
int yl_start_writing(int fd, int64_t offset, int64_t length);
int yl_fadvise(int fd, int64_t offset, int64_t length, int advice);
int yl_mknodat(int dirfd, const char *path, uint32_t mode, uint32_t major, uint32_t minor);
/// chmod(2) of `name` in a directory, never of what a link at `name` leads to: that is an error (EOPNOTSUPP).
int yl_fchmodat_nofollow(int dirfd, const char *name, uint32_t mode);
int yl_utimensat(int dirfd, const char *path, int64_t as, int64_t ans, int64_t ms, int64_t mns, int flags);
int yl_futimens(int fd, int64_t as, int64_t ans, int64_t ms, int64_t mns);
// Extended attributes of `name` in the directory `dirfd`, never following a link at `name`.
long yl_listxattrat(int dirfd, const char *name, void *buffer, size_t size);
long yl_getxattrat(int dirfd, const char *name, const char *attribute, void *buffer, size_t size);
int yl_setxattrat(int dirfd, const char *name, const char *attribute, const void *value, size_t size);
int yl_removexattrat(int dirfd, const char *name, const char *attribute);
/* Reads as pread(2), and drops from the page cache what only this brought there. */
long yl_pread_dontcache(int fd, void *buffer, size_t size, int64_t offset);
/* Whether more than half of the first `size` bytes (16 MiB at most) is in the page cache; 1 when unknown. */
int yl_is_cached(int fd, size_t size);
int yl_fsetxattr(int fd, const char *attribute, const void *value, size_t size);
int yl_fremovexattr(int fd, const char *attribute);
long yl_flistxattr(int fd, void *buffer, size_t size);
long yl_fgetxattr(int fd, const char *attribute, void *buffer, size_t size);
// The name of a user or a group into `buffer`; its length, 0 when there is none, or a negative errno.
long yl_username(uint32_t uid, char *buffer, size_t size);
long yl_groupname(uint32_t gid, char *buffer, size_t size);
// Local time: fields year, month, day, hour, minute, second, and the offset east of UTC in seconds.
int yl_localtime(int64_t seconds, int fields[7]);
// Columns of the terminal at `fd`, 0 when it is none.
int yl_terminal_columns(int fd);
// The words of the command line as the kernel gave them, the program's name included. Swift reads them from /proc.
int yl_argument_count(void);
const char *yl_argument(int at);
// The path by which the program was started, as execve(2) got it; NULL when unknown.
const char *yl_executed_path(void);
// Descriptors 0, 1 and 2 that are closed get something that can be neither read nor written. Otherwise the next file
// to be opened would take the number, and messages would go into it.
void yl_occupy_standard_descriptors(void);
// Lets the process open as many files as the hard limit allows.
int yl_raise_open_files(void);
// No core dumps: the memory holds keys. (PR_SET_DUMPABLE would close /proc/self/fd to an ordinary user.)
void yl_protect_memory(void);
void yl_ignore_sigpipe(void);
// Who started this process may have left SIGCHLD ignored: then nobody can learn how its children end.
void yl_heed_sigchld(void);
// Keeps SIGINT, SIGTERM and SIGHUP for `handler`, without restarting system calls. One that is ignored stays so: that
// is how nohup(1) and shells protect what runs in the background.
void yl_on_termination(void (*handler)(int));
// Whether such a signal has come since.
int yl_termination_arrived(void);
// While a question stands at a terminal: SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP and SIGCONT are written to `fd`, a
// byte each with the signal's number. One question at a time; `yl_signals_back` gives the signals back.
void yl_signals_to(int fd);
void yl_signals_back(void);
// Stops the process as Ctrl-Z does; returns when it goes on.
void yl_stop_self(void);
// Free bytes for an ordinary user, and total bytes, of the file system at `fd`.
int yl_statfs(int fd, uint64_t *total, uint64_t *available);
// The magic number of the file system that an open file lies on, as statfs(2) gives it.
int yl_file_system_type(int fd, uint32_t *magic);
// Peak resident memory of this process in KiB.
long yl_peak_memory(void);
int64_t yl_clock_boottime(void);
// Allows as much malloc'd memory as is freed to go back to the system: few arenas, low trim threshold.
void yl_tune_malloc(void);

void yl_name_thread(const char *name);
long yl_random(void *buffer, size_t size);

#endif
