// The limit program: how fast a mount can be at all.
//
// It shows a directory tree that it holds in memory, with nothing behind it: no decompression, no index, no checks.
// What a work costs here is what FUSE and the kernel cost, so no driver that serves the same can be faster by much.
// It uses every means that a read-only FUSE file system has to avoid round trips and sleeps:
//
//  - Workers look at the device again for a while before they sleep, because waking one costs more than an answer.
//  - Entries, attributes and missing names never time out; listings come with attributes (READDIRPLUS).
//  - ENOSYS to OPEN, OPENDIR and FLUSH: the kernel does these by itself from then on.
//  - When the files of a directory are read in order, the next small ones are put into the page cache (notify_store).
//
// It answers honestly what a backup mount must answer, too: extended attributes (there are none) and access lists.
//
// Threads: the main thread waits for signals. Each worker receives a request, answers it, and, if the request shows
// that files are read in order, stores the following ones. The tree does not change once it is loaded, except for the
// place of the prefetch in each directory, which belongs to the one worker that stores.
#define FUSE_USE_VERSION 314
#define _FILE_OFFSET_BITS 64
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <getopt.h>
#include <limits.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <search.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
  LARGEST_READ = 1 << 20,
  READ_AHEAD_KIB = 1024,
  // Larger files are mapped instead of copied; the number of mappings that a process may have is limited.
  MAPPED_FROM = 1 << 20,
  // The answer takes long enough that another worker should listen meanwhile.
  LARGE_READ = 128 << 10,
  PREFETCHED_UP_TO = 128 << 10,
  PREFETCHED_FILES = 32,
  PREFETCHED_BYTES = 1 << 20,
  WORKERS_MAX = 64,
};

static const double forever = 1e9;

struct node {
  struct stat status;
  const char *content;  // of a file, or the target of a symbolic link
  // Of a directory: its entries stand together in `entries`, sorted by name.
  uint32_t first, count, parent;
  // Of a file: the entry by which it is found, for the prefetch.
  uint32_t entry;
  // Of a directory: the entry up to which the prefetch has come, and how many files it may store at once.
  uint32_t next, window;
};

struct child {
  const char *name;
  uint32_t node, directory;
};

static struct node *nodes;  // by node number; 1 is the root
static struct child *entries;
static uint32_t node_count, entry_count;
static uint64_t content_bytes;

static int worker_count = 2, spin_us = 100;
static bool prefetches = true;
static const char *stats_path;

static struct fuse_session *session;
static int exit_event;
// Of the workers, some listen: one sleeps at the device, or several look at it. The others are busy or parked, where a
// request does not wake them; they are called when one listener does not suffice.
static atomic_int listening;
static pthread_mutex_t parking = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t called = PTHREAD_COND_INITIALIZER;
static int parked, calls;
static bool is_ending;
static atomic_flag storing = ATOMIC_FLAG_INIT;
static atomic_ulong requests[64], stored_files, stored_bytes;

// MARK: Loading

static void *need(void *memory) {
  if (!memory) err(1, "memory");
  return memory;
}

// Memory that stays until the end, cut from large pieces.
static char *keep(const void *bytes, size_t size) {
  static char *piece;
  static size_t room;
  if (room < size) {
    room = size > (16 << 20) ? size : 16 << 20;
    piece = need(malloc(room));
  }
  char *place = piece;
  if (bytes) memcpy(place, bytes, size);
  piece += size;
  room -= size;
  return place;
}

static uint32_t new_node(const struct stat *status, uint32_t parent) {
  static uint32_t room;
  if (node_count + 1 >= room) {
    room = room ? room * 2 : 1024;
    nodes = need(realloc(nodes, room * sizeof *nodes));
    if (!node_count) memset(nodes, 0, sizeof *nodes), node_count = 1;
  }
  nodes[node_count] = (struct node){.status = *status, .parent = parent, .window = 2};
  nodes[node_count].status.st_ino = node_count;
  return node_count++;
}

static uint32_t new_entry(const char *name, uint32_t directory) {
  static uint32_t room;
  if (entry_count >= room) {
    room = room ? room * 2 : 1024;
    entries = need(realloc(entries, room * sizeof *entries));
  }
  entries[entry_count] = (struct child){keep(name, strlen(name) + 1), 0, directory};
  return entry_count++;
}

struct link {
  dev_t device;
  ino_t inode;
  uint32_t node;
};

static int by_inode(const void *a, const void *b) {
  const struct link *one = a, *other = b;
  if (one->device != other->device) return one->device < other->device ? -1 : 1;
  return one->inode < other->inode ? -1 : one->inode > other->inode;
}

// The node that has this device and inode already, so that hard links share one; otherwise `fresh` is remembered.
static uint32_t linked(const struct stat *status, uint32_t fresh) {
  static void *links;
  struct link *wanted = need(malloc(sizeof *wanted));
  *wanted = (struct link){status->st_dev, status->st_ino, fresh};
  struct link *found = *(struct link **)need(tsearch(wanted, &links, by_inode));
  if (found != wanted) free(wanted);
  return found->node;
}

static const char *load_file(int directory, const char *name, size_t size) {
  int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) err(1, "%s", name);
  char *content;
  if (size >= MAPPED_FROM) {
    content = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (content == MAP_FAILED) err(1, "mapping %s", name);
  } else {
    content = keep(NULL, size);
    for (size_t have = 0; have < size;) {
      ssize_t got = read(fd, content + have, size - have);
      if (got <= 0) errx(1, "%s became shorter while it was read", name);
      have += got;
    }
  }
  close(fd);
  content_bytes += size;
  return content;
}

static void load_node(int directory, const char *name, uint32_t entry) {
  struct stat status;
  if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0) err(1, "%s", name);
  if (!S_ISDIR(status.st_mode) && status.st_nlink > 1) {
    uint32_t shared = linked(&status, node_count);
    if (shared != node_count) {
      entries[entry].node = shared;
      return;
    }
  }
  uint32_t number = new_node(&status, entries[entry].directory);
  entries[entry].node = number;
  nodes[number].entry = entry;
  if (S_ISREG(status.st_mode)) nodes[number].content = load_file(directory, name, status.st_size);
  if (S_ISLNK(status.st_mode)) {
    char target[PATH_MAX] = "";
    if (readlinkat(directory, name, target, sizeof target - 1) < 0) err(1, "%s", name);
    nodes[number].content = keep(target, strlen(target) + 1);
  }
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const struct child *)a)->name, ((const struct child *)b)->name);
}

// Entries and nodes of one directory get numbers in a row, then come the directories below. So the order of the
// listing is that of the inode numbers, in which cp and others read.
static void load_directory(int fd, uint32_t number) {
  DIR *listing = fdopendir(fd);
  if (!listing) err(1, "reading a directory");
  uint32_t first = entry_count;
  for (struct dirent *found; (found = readdir(listing));)
    if (strcmp(found->d_name, ".") && strcmp(found->d_name, "..")) new_entry(found->d_name, number);
  uint32_t count = entry_count - first;
  nodes[number].first = nodes[number].next = first;
  nodes[number].count = count;
  qsort(entries + first, count, sizeof *entries, by_name);
  for (uint32_t i = first; i < first + count; i++) load_node(dirfd(listing), entries[i].name, i);
  for (uint32_t i = first; i < first + count; i++) {
    if (!S_ISDIR(nodes[entries[i].node].status.st_mode)) continue;
    int below = openat(dirfd(listing), entries[i].name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below < 0) err(1, "%s", entries[i].name);
    load_directory(below, entries[i].node);
  }
  closedir(listing);
}

static void load(const char *top) {
  struct stat status;
  int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status) < 0) err(1, "%s", top);
  uint32_t root = new_node(&status, 0);
  nodes[root].parent = root;
  load_directory(fd, root);
}

// MARK: Answering

static bool exists(fuse_ino_t number) { return number > 0 && number < node_count; }

static struct fuse_entry_param described(uint32_t number) {
  return (struct fuse_entry_param){
      .ino = number, .attr = nodes[number].status, .attr_timeout = forever, .entry_timeout = forever};
}

static void answer_init(void *context, struct fuse_conn_info *connection) {
  (void)context;
  // No splicing: for answers of this size copying is cheaper. No "auto" for READDIRPLUS: it would guess.
  connection->want = connection->capable &
      (FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_READDIRPLUS |
       FUSE_CAP_NO_OPEN_SUPPORT | FUSE_CAP_NO_OPENDIR_SUPPORT | FUSE_CAP_POSIX_ACL);
  connection->max_read = LARGEST_READ;
  // Also the limit for reads: the kernel takes the pages of a request from it.
  connection->max_write = LARGEST_READ;
  connection->max_readahead = READ_AHEAD_KIB << 10;
  connection->max_background = 64;
  connection->congestion_threshold = 48;
}

static void answer_lookup(fuse_req_t request, fuse_ino_t directory, const char *name) {
  if (!exists(directory)) return (void)fuse_reply_err(request, ESTALE);
  struct node *node = &nodes[directory];
  struct child wanted = {.name = name};
  struct child *found = bsearch(&wanted, entries + node->first, node->count, sizeof *entries, by_name);
  // Number 0 says that there is no such name, and that this may be remembered.
  struct fuse_entry_param answer = {.entry_timeout = forever};
  if (found) answer = described(found->node);
  fuse_reply_entry(request, &answer);
}

static void answer_getattr(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *file) {
  (void)file;
  if (!exists(number)) return (void)fuse_reply_err(request, ESTALE);
  fuse_reply_attr(request, &nodes[number].status, forever);
}

static void answer_readlink(fuse_req_t request, fuse_ino_t number) {
  if (!exists(number) || !S_ISLNK(nodes[number].status.st_mode)) return (void)fuse_reply_err(request, EINVAL);
  fuse_reply_readlink(request, nodes[number].content);
}

static void answer_read(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset, struct fuse_file_info *file) {
  (void)file;
  if (!exists(number) || !S_ISREG(nodes[number].status.st_mode)) return (void)fuse_reply_err(request, EINVAL);
  off_t end = nodes[number].status.st_size;
  if (offset >= end) return (void)fuse_reply_buf(request, NULL, 0);
  if ((off_t)size > end - offset) size = end - offset;
  fuse_reply_buf(request, nodes[number].content + offset, size);
}

static void list(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset, bool with_nodes) {
  if (!exists(number) || !S_ISDIR(nodes[number].status.st_mode)) return (void)fuse_reply_err(request, ENOTDIR);
  static _Thread_local char buffer[LARGEST_READ];
  if (size > sizeof buffer) size = sizeof buffer;
  struct node *node = &nodes[number];
  size_t used = 0;
  for (off_t place = offset; place < (off_t)node->count + 2; place++) {
    struct fuse_entry_param answer;
    const char *name;
    if (place < 2) {
      // The kernel takes no node from these two; the number is for those who look at it.
      answer = (struct fuse_entry_param){.attr = nodes[place ? node->parent : number].status};
      name = place ? ".." : ".";
    } else {
      struct child *entry = &entries[node->first + place - 2];
      answer = described(entry->node);
      name = entry->name;
    }
    size_t needed = with_nodes
        ? fuse_add_direntry_plus(request, buffer + used, size - used, name, &answer, place + 1)
        : fuse_add_direntry(request, buffer + used, size - used, name, &answer.attr, place + 1);
    if (needed > size - used) break;
    used += needed;
  }
  fuse_reply_buf(request, buffer, used);
}

static void answer_readdir(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
                           struct fuse_file_info *file) {
  (void)file;
  list(request, number, size, offset, false);
}

static void answer_readdirplus(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
                               struct fuse_file_info *file) {
  (void)file;
  list(request, number, size, offset, true);
}

static void answer_statfs(fuse_req_t request, fuse_ino_t number) {
  (void)number;
  struct statvfs totals = {.f_bsize = 4096, .f_frsize = 4096, .f_blocks = content_bytes / 4096, .f_files = node_count,
                           .f_namemax = 255};
  fuse_reply_statfs(request, &totals);
}

static void answer_getxattr(fuse_req_t request, fuse_ino_t number, const char *name, size_t size) {
  (void)number, (void)name, (void)size;
  fuse_reply_err(request, ENODATA);
}

static void answer_listxattr(fuse_req_t request, fuse_ino_t number, size_t size) {
  (void)number;
  if (size) fuse_reply_buf(request, NULL, 0);
  else fuse_reply_xattr(request, 0);
}

static void refuse_open(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *file) {
  (void)number, (void)file;
  fuse_reply_err(request, ENOSYS);
}

// FORGET needs nothing: node numbers are valid for as long as the program runs. libfuse answers ENOSYS to the rest.
static const struct fuse_lowlevel_ops operations = {
    .init = answer_init,
    .lookup = answer_lookup,
    .getattr = answer_getattr,
    .readlink = answer_readlink,
    .open = refuse_open,
    .read = answer_read,
    .flush = refuse_open,
    .opendir = refuse_open,
    .readdir = answer_readdir,
    .readdirplus = answer_readdirplus,
    .statfs = answer_statfs,
    .getxattr = answer_getxattr,
    .listxattr = answer_listxattr,
};

// MARK: Parking

// Takes this worker off the device, unless it is the last one there, and waits until it is called.
static bool park(void) {
  pthread_mutex_lock(&parking);
  bool may_park = atomic_load(&listening) > 1 && !is_ending;
  if (may_park) {
    atomic_fetch_sub(&listening, 1);
    parked++;
    while (!calls && !is_ending) pthread_cond_wait(&called, &parking);
    parked--;
    if (calls) calls--;
    atomic_fetch_add(&listening, 1);
  }
  pthread_mutex_unlock(&parking);
  return may_park;
}

// Sees to it that somebody listens while this worker is busy. False when all the others are busy, too.
static bool call_another(void) {
  pthread_mutex_lock(&parking);
  bool is_called = calls > 0 || atomic_load(&listening) > 0;
  if (!is_called && parked > 0) {
    calls++;
    pthread_cond_signal(&called);
    is_called = true;
  }
  pthread_mutex_unlock(&parking);
  return is_called;
}

// MARK: Prefetch

static bool has_content(const struct node *node) { return S_ISREG(node->status.st_mode) && node->status.st_size > 0; }

static bool store(uint32_t number) {
  struct node *node = &nodes[number];
  struct fuse_bufvec content = FUSE_BUFVEC_INIT(node->status.st_size);
  content.buf[0].mem = (void *)node->content;
  // ENOENT: the kernel does not know the file, since nobody has listed the directory.
  if (fuse_lowlevel_notify_store(session, number, 0, &content, 0) < 0) return false;
  atomic_fetch_add(&stored_files, 1);
  atomic_fetch_add(&stored_bytes, node->status.st_size);
  return true;
}

// Stores the files that follow this one, if the files of its directory are being read in order.
static void store_following(uint32_t number) {
  struct child *self = &entries[nodes[number].entry];
  struct node *directory = &nodes[self->directory];
  uint32_t place = nodes[number].entry, end = directory->first + directory->count;
  bool in_order = place >= directory->next && place < directory->next + 4;
  // A file from elsewhere begins a new row; more is stored the longer a row is.
  directory->window = !in_order ? 1 : directory->window < PREFETCHED_FILES ? directory->window * 2 : PREFETCHED_FILES;
  uint32_t files = in_order && call_another() ? directory->window : 0;
  off_t bytes = PREFETCHED_BYTES;
  for (place++; place < end && files && bytes > 0; place++) {
    struct node *node = &nodes[entries[place].node];
    if (!has_content(node)) continue;
    // A large one is worth its own request, and begins the next row.
    if (node->status.st_size > PREFETCHED_UP_TO || !store(entries[place].node)) break;
    bytes -= node->status.st_size;
    files--;
  }
  // What nobody will ask for is no gap in a row.
  while (place < end && !has_content(&nodes[entries[place].node])) place++;
  directory->next = place;
}

// A store waits for pages that a read has locked, and such a read may be waiting for its answer. So one worker at a
// time stores, after it has answered its own request, and another one is there to answer the others; with a single
// worker nothing is stored.
static void prefetch(uint32_t number) {
  if (atomic_flag_test_and_set(&storing)) return;
  store_following(number);
  atomic_flag_clear(&storing);
}

// MARK: Workers

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void handle(struct fuse_buf *buffer, bool is_backlog) {
  const struct fuse_in_header *header = buffer->mem;
  const struct fuse_read_in *reading = (const void *)(header + 1);
  atomic_fetch_add_explicit(&requests[header->opcode % 64], 1, memory_order_relaxed);
  bool is_read = header->opcode == FUSE_READ;
  if (is_backlog || (is_read && reading->size >= LARGE_READ)) call_another();
  bool begins_file = is_read && reading->offset == 0;
  uint64_t number = header->nodeid;
  fuse_session_process_buf(session, buffer);
  if (prefetches && begins_file && exists(number)) prefetch(number);
}

static void sleep_until_request(void) {
  struct pollfd places[] = {{fuse_session_fd(session), POLLIN, 0}, {exit_event, POLLIN, 0}};
  poll(places, 2, -1);
}

static void *work(void *unused) {
  (void)unused;
  struct fuse_buf buffer = {0};
  int64_t idle_since = now_us();
  int streak = 0;  // requests that were there at once
  atomic_fetch_add(&listening, 1);
  while (!fuse_session_exited(session)) {
    int got = fuse_session_receive_buf(session, &buffer);
    if (got > 0) {
      int others = atomic_fetch_sub(&listening, 1) - 1;
      handle(&buffer, ++streak > 2 && others == 0);
      atomic_fetch_add(&listening, 1);
      idle_since = now_us();
    } else if (got == -EAGAIN) {
      streak = 0;
      // Two that look out do not find more than one does, and may keep the clients from running.
      int patience = atomic_load(&listening) > 1 ? spin_us / 4 : spin_us;
      if (now_us() - idle_since < patience) sched_yield();
      else if (park()) idle_since = now_us();
      else sleep_until_request();
    } else if (got != -EINTR) {
      break;  // unmounted
    }
  }
  atomic_fetch_sub(&listening, 1);
  free(buffer.mem);
  // The main thread waits for signals alone.
  kill(getpid(), SIGTERM);
  return NULL;
}

// MARK: Counts

static const char *const names[64] = {
    [FUSE_LOOKUP] = "lookup", [FUSE_FORGET] = "forget", [FUSE_GETATTR] = "getattr", [FUSE_SETATTR] = "setattr",
    [FUSE_READLINK] = "readlink", [FUSE_OPEN] = "open", [FUSE_READ] = "read", [FUSE_STATFS] = "statfs",
    [FUSE_RELEASE] = "release", [FUSE_GETXATTR] = "getxattr", [FUSE_LISTXATTR] = "listxattr", [FUSE_FLUSH] = "flush",
    [FUSE_INIT] = "init", [FUSE_OPENDIR] = "opendir", [FUSE_READDIR] = "readdir", [FUSE_RELEASEDIR] = "releasedir",
    [FUSE_ACCESS] = "access", [FUSE_INTERRUPT] = "interrupt", [FUSE_DESTROY] = "destroy", [FUSE_IOCTL] = "ioctl",
    [FUSE_BATCH_FORGET] = "batch_forget", [FUSE_READDIRPLUS] = "readdirplus", [FUSE_LSEEK] = "lseek",
    [FUSE_COPY_FILE_RANGE] = "copy_file_range", [FUSE_SYNCFS] = "syncfs", [52] = "statx",  // not in older headers
};

static void print_counts(FILE *file) {
  fprintf(file, "{\"requests\": {");
  const char *comma = "";
  for (int code = 0; code < 64; code++) {
    unsigned long count = atomic_load(&requests[code]);
    if (!count) continue;
    if (names[code]) fprintf(file, "%s\"%s\": %lu", comma, names[code], count);
    else fprintf(file, "%s\"opcode_%d\": %lu", comma, code, count);
    comma = ", ";
  }
  fprintf(file, "}, \"stored_files\": %lu, \"stored_bytes\": %lu}\n", atomic_load(&stored_files),
          atomic_load(&stored_bytes));
}

// Who waits for the file finds all of it or none: it is renamed into place.
static void write_counts(void) {
  char fresh[PATH_MAX];
  if (!stats_path) return print_counts(stderr);
  snprintf(fresh, sizeof fresh, "%s.new", stats_path);
  FILE *file = fopen(fresh, "w");
  if (!file) return warn("%s", fresh);
  print_counts(file);
  if (fclose(file) || rename(fresh, stats_path) < 0) warn("%s", stats_path);
}

// MARK: The mount

// Root may raise what the kernel reads ahead in this mount; it takes the smaller of its own value and ours at first.
static void raise_read_ahead(const char *mount_point) {
  FILE *table = fopen("/proc/self/mountinfo", "r");
  char line[2 * PATH_MAX], point[PATH_MAX], path[64];
  unsigned major, minor;
  bool found = false;
  while (table && fgets(line, sizeof line, table))
    if (sscanf(line, "%*u %*u %u:%u %*s %4095s", &major, &minor, point) == 3 && !strcmp(point, mount_point)) {
      snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", major, minor);
      found = true;
    }
  if (table) fclose(table);
  FILE *setting = found ? fopen(path, "w") : NULL;
  if (setting) fprintf(setting, "%d\n", READ_AHEAD_KIB), fclose(setting);
}

static void mount_at(const char *mount_point) {
  char options[128];
  snprintf(options, sizeof options, "-oro,default_permissions,%ssubtype=limit,fsname=limit,max_read=%d",
           geteuid() ? "" : "allow_other,", LARGEST_READ);
  char *words[] = {"limit", options, NULL};
  struct fuse_args arguments = FUSE_ARGS_INIT(2, words);
  session = fuse_session_new(&arguments, &operations, sizeof operations, NULL);
  fuse_opt_free_args(&arguments);
  if (!session || fuse_session_mount(session, mount_point) < 0) errx(1, "mounting at %s failed", mount_point);
  // The first request is INIT. The limit for read-ahead is valid once it is answered.
  struct fuse_buf buffer = {0};
  if (fuse_session_receive_buf(session, &buffer) > 0) handle(&buffer, false);
  free(buffer.mem);
  raise_read_ahead(mount_point);
  fcntl(fuse_session_fd(session), F_SETFL, fcntl(fuse_session_fd(session), F_GETFL) | O_NONBLOCK);
}

static void serve(const sigset_t *signals) {
  pthread_t workers[WORKERS_MAX];
  for (int i = 0; i < worker_count; i++)
    if (pthread_create(&workers[i], NULL, work, NULL)) errx(1, "no thread can be started");
  for (int caught; !sigwait(signals, &caught) && caught == SIGUSR1;) write_counts();
  fuse_session_exit(session);
  pthread_mutex_lock(&parking);
  is_ending = true;
  pthread_cond_broadcast(&called);
  pthread_mutex_unlock(&parking);
  uint64_t one = 1;
  if (write(exit_event, &one, sizeof one) < 0) warn("eventfd");
  for (int i = 0; i < worker_count; i++) pthread_join(workers[i], NULL);
  fuse_session_unmount(session);
  fuse_session_destroy(session);
  write_counts();
}

static void usage(FILE *file) {
  fprintf(file,
          "usage: limit [options] DIRECTORY MOUNTPOINT\n"
          "Loads a directory tree into memory and shows it at the mount point, as fast as FUSE allows.\n\n"
          "  -w, --workers N    threads that answer requests (default 2)\n"
          "  -s, --spin N       microseconds for which a worker looks for a request before it sleeps (default 100)\n"
          "  -p, --prefetch     store the next files of a directory ahead (default; needs two workers)\n"
          "  -n, --no-prefetch  do not\n"
          "      --stats FILE   where to write how many requests of each kind came, at SIGUSR1 and at the end\n"
          "                     (default: stderr)\n");
}

int main(int argc, char **argv) {
  static const struct option choices[] = {
      {"workers", required_argument, NULL, 'w'}, {"spin", required_argument, NULL, 's'},
      {"prefetch", no_argument, NULL, 'p'},      {"no-prefetch", no_argument, NULL, 'n'},
      {"stats", required_argument, NULL, 'f'},   {"help", no_argument, NULL, 'h'},
      {0}};
  for (int choice; (choice = getopt_long(argc, argv, "w:s:pnh", choices, NULL)) != -1;) switch (choice) {
      case 'w': worker_count = atoi(optarg); break;
      case 's': spin_us = atoi(optarg); break;
      case 'p': prefetches = true; break;
      case 'n': prefetches = false; break;
      case 'f': stats_path = optarg; break;
      case 'h': usage(stdout); return 0;
      default: usage(stderr); return 2;
    }
  if (argc - optind != 2 || worker_count < 1 || worker_count > WORKERS_MAX) return usage(stderr), 2;
  prefetches = prefetches && worker_count > 1;

  // Blocked before the first thread begins, so that sigwait gets them.
  sigset_t signals;
  sigemptyset(&signals);
  for (size_t i = 0; i < 4; i++) sigaddset(&signals, (int[]){SIGTERM, SIGINT, SIGHUP, SIGUSR1}[i]);
  pthread_sigmask(SIG_BLOCK, &signals, NULL);

  char *mount_point = realpath(argv[optind + 1], NULL);
  if (!mount_point) err(1, "%s", argv[optind + 1]);
  load(argv[optind]);
  exit_event = eventfd(0, EFD_CLOEXEC);
  mount_at(mount_point);
  serve(&signals);
  free(mount_point);
  return 0;
}
