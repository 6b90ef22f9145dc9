/* file.c: see file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"


static bool read_all (int fd, uint8_t *to, size_t size) {
  while (size > 0) {
    ssize_t n = read(fd, to, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    to += n;
    size -= (size_t)n;
  }
  return true;
}


static bool read_into_memory (dc_file *file, int fd) {
  uint8_t *block = dc_alloc(file->size);
  if (block == NULL || !read_all(fd, block, file->size)) {
    dc_free(block);
    return false;
  }
  file->data = block;
  return true;
}


static bool map_pages (dc_file *file, int fd) {
  void *pages = mmap(NULL, file->size, PROT_READ, MAP_SHARED, fd, 0);
  if (pages == MAP_FAILED) return false;
  file->data = pages;
  file->mapped = true;
  return true;
}


bool dc_file_open (dc_file *file, const char *path, bool map, dc_error *err) {
  memset(file, 0, sizeof *file);
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return dc_fail(err, "%.400s: %s", path, strerror(errno));
  struct stat info;
  bool ok = false;
  if (fstat(fd, &info) != 0)
    dc_fail(err, "%.400s: %s", path, strerror(errno));
  else if (S_ISDIR(info.st_mode))
    dc_fail(err, "%.400s: is a directory, a file is needed", path);
  else if (!S_ISREG(info.st_mode))
    dc_fail(err, "%.400s: is not a regular file", path);
  else {
    file->size = (size_t)info.st_size;
    ok = (map && file->size > 0) ? map_pages(file, fd)
                                 : read_into_memory(file, fd);
    if (!ok)
      dc_fail(err, "%.400s: cannot %s %zu bytes", path, map ? "map" : "read",
              file->size);
  }
  close(fd);
  if (!ok) memset(file, 0, sizeof *file);
  return ok;
}


/* A page that is shared with the file is dropped from our memory, not from the
   system's cache, and is found there again. */
void dc_file_release (const dc_file *file, const void *bytes, size_t size) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t from = ((uintptr_t)bytes + page - 1) / page * page;
  uintptr_t to = ((uintptr_t)bytes + size) / page * page;
  if (file->mapped && from < to)
    madvise((void *)from, to - from, MADV_DONTNEED);
}


void dc_file_close (dc_file *file) {
  if (file->mapped)
    munmap((void *)(uintptr_t)file->data, file->size);
  else
    dc_free((void *)(uintptr_t)file->data);
  memset(file, 0, sizeof *file);
}
