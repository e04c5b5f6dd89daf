// Makes the large things that benchmarks back up, quickly and always the same:
//
//   generate files FOLDER COUNT EACH     COUNT files of 0 to 7 bytes, EACH of them in a directory
//   generate large FILE BYTES            a file that compresses to less than a half
//   generate sparse FILE BYTES           a file with holes: 16 islands of 1 MiB of such data, evenly spread
#define _FILE_OFFSET_BITS 64
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, UNIT = 32, UNITS = 256, ISLANDS = 16 };

// SplitMix64 (Steele et al., OOPSLA 2014).
static uint64_t state = 20260101;

static uint64_t next(void) {
  uint64_t z = state += 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

// Letters of which some are more frequent than others.
static void fill(unsigned char *buffer, size_t size) {
  for (size_t at = 0; at + 8 <= size; at += 8) {
    uint64_t word = (next() & next() & 0x1F1F1F1F1F1F1F1F) + 0x6060606060606060;
    memcpy(buffer + at, &word, 8);
  }
}

// One unit of four comes from a few, the others are new: as with text and programs, zstd has something to find and
// something to count.
static void compose(unsigned char *buffer) {
  static unsigned char known[UNITS][UNIT];
  static int is_ready;
  if (!is_ready) fill(known[0], sizeof known);
  is_ready = 1;
  for (size_t at = 0; at < BUFFER; at += UNIT) {
    uint64_t choice = next();
    if (choice % 4 == 0)
      memcpy(buffer + at, known[(choice >> 2) % UNITS], UNIT);
    else
      fill(buffer + at, UNIT);
  }
}

static int create(const char *path, int folder) {
  int file = openat(folder, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0) err(1, "%s", path);
  return file;
}

static void write_all(int file, const void *bytes, size_t size, off_t offset) {
  while (size > 0) {
    ssize_t written = pwrite(file, bytes, size, offset);
    if (written < 0) err(1, "cannot write");
    bytes = (const char *)bytes + written;
    size -= (size_t)written;
    offset += written;
  }
}

static int open_directory(const char *top, uint64_t number) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%05llu", top, (unsigned long long)number);
  if (mkdir(path, 0755) != 0) err(1, "%s", path);
  int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) err(1, "%s", path);
  return folder;
}

static void files(const char *top, uint64_t count, uint64_t each) {
  int folder = -1;
  for (uint64_t number = 0; number < count; number++) {
    if (number % each == 0) {
      if (folder >= 0) close(folder);
      folder = open_directory(top, number / each);
    }
    char name[32], content[32];
    snprintf(name, sizeof name, "file-%08llu", (unsigned long long)number);
    int size = snprintf(content, sizeof content, "%07llu", (unsigned long long)number);
    int file = create(name, folder);
    // Sizes from 0 to 7, most contents different.
    uint64_t wanted = number % 8;
    size_t from = (size_t)size - wanted;
    write_all(file, content + from, wanted, 0);
    close(file);
  }
}

static void large(const char *path, uint64_t size, uint64_t stride) {
  unsigned char *buffer = malloc(BUFFER);
  if (!buffer) err(1, "no memory");
  int file = create(path, AT_FDCWD);
  if (ftruncate(file, (off_t)size) != 0) err(1, "%s", path);
  for (uint64_t at = 0; at < size; at += stride) {
    compose(buffer);
    write_all(file, buffer, size - at < BUFFER ? size - at : BUFFER, (off_t)at);
  }
  if (close(file) != 0) err(1, "%s", path);
  free(buffer);
}

int main(int count, char **words) {
  if (count == 5 && strcmp(words[1], "files") == 0) {
    files(words[2], strtoull(words[3], NULL, 10), strtoull(words[4], NULL, 10));
  } else if (count == 4 && strcmp(words[1], "large") == 0) {
    large(words[2], strtoull(words[3], NULL, 10), BUFFER);
  } else if (count == 4 && strcmp(words[1], "sparse") == 0) {
    uint64_t size = strtoull(words[3], NULL, 10);
    large(words[2], size, size < ISLANDS * BUFFER ? BUFFER : size / ISLANDS);
  } else {
    errx(2, "usage: generate files FOLDER COUNT EACH | large FILE BYTES | sparse FILE BYTES");
  }
}
