#define _GNU_SOURCE
#include "CLinux.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

const int yl_o_directory = O_DIRECTORY, yl_o_nofollow = O_NOFOLLOW, yl_o_noatime = O_NOATIME, yl_o_path = O_PATH,
          yl_o_cloexec = O_CLOEXEC, yl_o_tmpfile = O_TMPFILE;
const int yl_at_fdcwd = AT_FDCWD, yl_at_symlink_nofollow = AT_SYMLINK_NOFOLLOW, yl_at_empty_path = AT_EMPTY_PATH,
          yl_at_removedir = AT_REMOVEDIR, yl_at_statx_dont_sync = AT_STATX_DONT_SYNC;
const int yl_rename_noreplace = RENAME_NOREPLACE, yl_rename_exchange = RENAME_EXCHANGE;
const int yl_seek_data = SEEK_DATA, yl_seek_hole = SEEK_HOLE;
const int yl_fadv_sequential = POSIX_FADV_SEQUENTIAL, yl_fadv_dontneed = POSIX_FADV_DONTNEED,
          yl_fadv_noreuse = POSIX_FADV_NOREUSE;

static inline int result(long r) { return r < 0 ? -errno : (int)r; }
static inline long longResult(long r) { return r < 0 ? -(long)errno : r; }

int yl_pipe(int *reading, int *writing) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
  *reading = ends[0];
  *writing = ends[1];
  return 0;
}

int yl_statx(int dirfd, const char *path, int flags, struct yl_stat *out) {
  struct statx s;
  if (statx(dirfd, path, flags | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, &s) < 0)
    return -errno;
  *out = (struct yl_stat){
      .mode = s.stx_mode, .nlink = s.stx_nlink, .uid = s.stx_uid, .gid = s.stx_gid,
      .rdev_major = s.stx_rdev_major, .rdev_minor = s.stx_rdev_minor,
      .dev_major = s.stx_dev_major, .dev_minor = s.stx_dev_minor,
      .ino = s.stx_ino, .size = s.stx_size, .blocks = s.stx_blocks, .mnt_id = s.stx_mnt_id,
      .atime_s = s.stx_atime.tv_sec, .mtime_s = s.stx_mtime.tv_sec,
      .ctime_s = s.stx_ctime.tv_sec, .btime_s = s.stx_btime.tv_sec,
      .atime_ns = s.stx_atime.tv_nsec, .mtime_ns = s.stx_mtime.tv_nsec,
      .ctime_ns = s.stx_ctime.tv_nsec, .btime_ns = s.stx_btime.tv_nsec,
      .has_btime = (s.stx_mask & STATX_BTIME) != 0, .blksize = s.stx_blksize,
  };
  return 0;
}

int yl_openat(int dirfd, const char *path, int flags, uint32_t mode) {
  int fd;
  do fd = openat(dirfd, path, flags, mode);
  while (fd < 0 && errno == EINTR);
  return result(fd);
}
int yl_fchdir(int fd) { return result(fchdir(fd)); }
long yl_getdents(int fd, void *buffer, size_t size) { return longResult(syscall(SYS_getdents64, fd, buffer, size)); }
int yl_renameat2(int a, const char *old, int b, const char *new_, unsigned flags) {
  return result(renameat2(a, old, b, new_, flags));
}
int yl_linkat(int a, const char *old, int b, const char *new_, int flags) { return result(linkat(a, old, b, new_, flags)); }
int yl_syncfs(int fd) { return result(syncfs(fd)); }
int yl_start_writing(int fd, int64_t offset, int64_t length) {
  return result(sync_file_range(fd, offset, length, SYNC_FILE_RANGE_WRITE));
}
int yl_fadvise(int fd, int64_t offset, int64_t length, int advice) {
  return -posix_fadvise(fd, offset, length, advice);
}
int yl_mknodat(int dirfd, const char *path, uint32_t mode, uint32_t major, uint32_t minor) {
  return result(mknodat(dirfd, path, mode, makedev(major, minor)));
}
// Glibc before 2.39 goes by way of /proc, and has no answer where that is not mounted; kernels before 6.6 have no call.
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
int yl_fchmodat_nofollow(int dirfd, const char *name, uint32_t mode) {
  if (syscall(SYS_fchmodat2, dirfd, name, mode, AT_SYMLINK_NOFOLLOW) == 0) return 0;
  // Some sandboxes refuse calls that they do not know with EPERM.
  if (errno != ENOSYS && errno != EPERM) return -errno;
  if (fchmodat(dirfd, name, mode, AT_SYMLINK_NOFOLLOW) == 0) return 0;
  struct stat s;
  if (errno != EOPNOTSUPP || fstatat(dirfd, name, &s, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
  if (S_ISLNK(s.st_mode)) return -EOPNOTSUPP;
  return result(fchmodat(dirfd, name, mode, 0));
}
int yl_utimensat(int dirfd, const char *path, int64_t as, int64_t ans, int64_t ms, int64_t mns, int flags) {
  struct timespec t[2] = {{as, ans}, {ms, mns}};
  return result(utimensat(dirfd, path, t, flags));
}
int yl_futimens(int fd, int64_t as, int64_t ans, int64_t ms, int64_t mns) {
  struct timespec t[2] = {{as, ans}, {ms, mns}};
  return result(futimens(fd, t));
}

// There is no system call for attributes below a descriptor before Linux 6.13; /proc/self/fd serves as one.
struct attributeCall {
  enum { listAttributes, getAttribute, setAttribute, removeAttribute } what;
  const char *attribute;
  void *buffer;
  const void *value;
  size_t size;
};
static long callAttributes(const char *path, const struct attributeCall *c) {
  switch (c->what) {
    case listAttributes: return longResult(llistxattr(path, c->buffer, c->size));
    case getAttribute: return longResult(lgetxattr(path, c->attribute, c->buffer, c->size));
    case setAttribute: return longResult(lsetxattr(path, c->attribute, c->value, c->size, 0));
    default: return longResult(lremovexattr(path, c->attribute));
  }
}
// Where /proc is not to be had (in a chroot), the directory becomes the working directory for the moment, of this thread
// alone: from its first time here on, the thread has one of its own.
static long callAttributesFrom(int dirfd, const char *name, const struct attributeCall *c) {
  static __thread int isAlone;
  if (!isAlone && unshare(CLONE_FS) < 0) return -errno;
  isAlone = 1;
  int before = open(".", O_PATH | O_CLOEXEC);
  if (before < 0) return -errno;
  long answer = fchdir(dirfd) < 0 ? -errno : callAttributes(name, c);
  int back = result(fchdir(before));
  close(before);
  return back < 0 ? back : answer;
}
static long callAttributesAt(int dirfd, const char *name, const struct attributeCall *c) {
  if (dirfd == AT_FDCWD || name[0] == '/') return callAttributes(name, c);
  char path[300 + 64];
  if (snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dirfd, name) >= (int)sizeof path) return -ENAMETOOLONG;
  long answer = callAttributes(path, c);
  if ((answer == -ENOENT || answer == -EACCES) && access("/proc/self/fd", X_OK) < 0)
    return callAttributesFrom(dirfd, name, c);
  return answer;
}
long yl_listxattrat(int dirfd, const char *name, void *buffer, size_t size) {
  return callAttributesAt(dirfd, name, &(struct attributeCall){.what = listAttributes, .buffer = buffer, .size = size});
}
long yl_getxattrat(int dirfd, const char *name, const char *attribute, void *buffer, size_t size) {
  struct attributeCall c = {.what = getAttribute, .attribute = attribute, .buffer = buffer, .size = size};
  return callAttributesAt(dirfd, name, &c);
}
int yl_setxattrat(int dirfd, const char *name, const char *attribute, const void *value, size_t size) {
  struct attributeCall c = {.what = setAttribute, .attribute = attribute, .value = value, .size = size};
  return (int)callAttributesAt(dirfd, name, &c);
}
int yl_removexattrat(int dirfd, const char *name, const char *attribute) {
  return (int)callAttributesAt(dirfd, name, &(struct attributeCall){.what = removeAttribute, .attribute = attribute});
}
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x00000080
#endif
long yl_pread_dontcache(int fd, void *buffer, size_t size, int64_t offset) {
  struct iovec part = {buffer, size};
  return longResult(preadv2(fd, &part, 1, offset, RWF_DONTCACHE));
}
int yl_is_cached(int fd, size_t size) {
  enum { page = 4096, pagesMax = 4096 };
  unsigned char states[pagesMax];
  size_t pages = (size + page - 1) / page, present = 0;
  if (pages == 0 || pages > pagesMax) return 1;
  void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) return 1;
  int known = mincore(map, size, states) == 0;
  munmap(map, size);
  if (!known) return 1;
  for (size_t at = 0; at < pages; at++) present += states[at] & 1;
  return present * 2 > pages;
}

int yl_fsetxattr(int fd, const char *attribute, const void *value, size_t size) {
  return result(fsetxattr(fd, attribute, value, size, 0));
}
int yl_fremovexattr(int fd, const char *attribute) { return result(fremovexattr(fd, attribute)); }
long yl_flistxattr(int fd, void *buffer, size_t size) { return longResult(flistxattr(fd, buffer, size)); }
long yl_fgetxattr(int fd, const char *attribute, void *buffer, size_t size) {
  return longResult(fgetxattr(fd, attribute, buffer, size));
}

static long copyName(const char *name, char *buffer, size_t size) {
  size_t length = strnlen(name, size);
  memcpy(buffer, name, length);
  return (long)length;
}
long yl_username(uint32_t uid, char *buffer, size_t size) {
  char scratch[8192];
  struct passwd entry, *found;
  int error = getpwuid_r(uid, &entry, scratch, sizeof scratch, &found);
  if (error) return -error;
  return found ? copyName(found->pw_name, buffer, size) : 0;
}
long yl_groupname(uint32_t gid, char *buffer, size_t size) {
  char scratch[65536];
  struct group entry, *found;
  int error = getgrgid_r(gid, &entry, scratch, sizeof scratch, &found);
  if (error) return -error;
  return found ? copyName(found->gr_name, buffer, size) : 0;
}

int yl_localtime(int64_t seconds, int f[7]) {
  time_t t = seconds;
  struct tm tm;
  if (!localtime_r(&t, &tm)) return -EOVERFLOW;
  f[0] = tm.tm_year + 1900, f[1] = tm.tm_mon + 1, f[2] = tm.tm_mday;
  f[3] = tm.tm_hour, f[4] = tm.tm_min, f[5] = tm.tm_sec, f[6] = (int)tm.tm_gmtoff;
  return 0;
}

int yl_terminal_columns(int fd) {
  struct winsize size;
  if (!isatty(fd)) return 0;
  if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

// glibc hands the command line to constructors as it does to main, which belongs to Swift.
static int argumentCount;
static char **arguments;
__attribute__((constructor)) static void keepArguments(int count, char **words) {
  argumentCount = count;
  arguments = words;
}
int yl_argument_count(void) { return argumentCount; }
const char *yl_argument(int at) { return at >= 0 && at < argumentCount ? arguments[at] : NULL; }
const char *yl_executed_path(void) { return (const char *)getauxval(AT_EXECFN); }

void yl_occupy_standard_descriptors(void) {
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)!open("/", O_PATH);
}

int yl_raise_open_files(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
  limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
  return result(setrlimit(RLIMIT_NOFILE, &limit));
}
void yl_protect_memory(void) {
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
}
void yl_ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }
void yl_heed_sigchld(void) { signal(SIGCHLD, SIG_DFL); }
static int isIgnored(int signal) {
  struct sigaction present;
  return sigaction(signal, NULL, &present) == 0 && present.sa_handler == SIG_IGN;
}

static volatile sig_atomic_t terminationArrived;
static void (*terminationHandler)(int);
static void terminate(int signal) {
  terminationHandler(signal);
  terminationArrived = 1;
}
void yl_on_termination(void (*handler)(int)) {
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction action = {.sa_handler = terminate};
  sigemptyset(&action.sa_mask);
  terminationHandler = handler;
  for (size_t at = 0; at < sizeof signals / sizeof *signals; at++)
    if (!isIgnored(signals[at])) sigaction(signals[at], &action, NULL);
}
int yl_termination_arrived(void) { return terminationArrived; }

enum { questionSignalCount = 6 };
static const int questionSignals[questionSignalCount] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT};
static struct sigaction signalsBefore[questionSignalCount];
static volatile sig_atomic_t questionPipe = -1;
static void passOn(int signal) {
  int saved = errno;
  unsigned char byte = (unsigned char)signal;
  if (signal != SIGTSTP && signal != SIGCONT) terminationArrived = 1;
  (void)!write(questionPipe, &byte, 1);
  errno = saved;
}
void yl_signals_to(int fd) {
  struct sigaction action = {.sa_handler = passOn};
  sigemptyset(&action.sa_mask);
  questionPipe = fd;
  for (int at = 0; at < questionSignalCount; at++) {
    int signal = questionSignals[at];
    sigaction(signal, NULL, &signalsBefore[at]);
    if (!isIgnored(signal)) sigaction(signal, &action, NULL);
  }
}
void yl_signals_back(void) {
  for (int at = 0; at < questionSignalCount; at++) sigaction(questionSignals[at], &signalsBefore[at], NULL);
}
void yl_stop_self(void) {
  struct sigaction usual = {.sa_handler = SIG_DFL}, present;
  sigaction(SIGTSTP, &usual, &present);
  raise(SIGTSTP);
  sigaction(SIGTSTP, &present, NULL);
}

int yl_statfs(int fd, uint64_t *total, uint64_t *available) {
  struct statvfs s;
  if (fstatvfs(fd, &s) < 0) return -errno;
  *total = (uint64_t)s.f_blocks * s.f_frsize;
  *available = (uint64_t)s.f_bavail * s.f_frsize;
  return 0;
}
int yl_file_system_type(int fd, uint32_t *magic) {
  struct statfs s;
  if (fstatfs(fd, &s) < 0) return -errno;
  *magic = (uint32_t)s.f_type;
  return 0;
}
long yl_peak_memory(void) {
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) < 0 ? 0 : usage.ru_maxrss;
}
int64_t yl_clock_boottime(void) {
  struct timespec t;
  clock_gettime(CLOCK_BOOTTIME, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
void yl_tune_malloc(void) {
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_MMAP_THRESHOLD, 256 << 10);
  mallopt(M_TRIM_THRESHOLD, 1 << 20);
}
void yl_name_thread(const char *name) { prctl(PR_SET_NAME, name); }
long yl_random(void *buffer, size_t size) { return longResult(getrandom(buffer, size, 0)); }
