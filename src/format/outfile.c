/* outfile.c: see outfile.h. */
#include "format/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

#define TRIES 1000  /* names of temporary files that may be taken already */


static bool fail_with_errno (const char *doing, dc_error *err) {
  return dc_fail(err, "cannot %s: %s", doing, strerror(errno));
}


static bool keep_path (dc_outfile *file, const char *path) {
  size_t n = strlen(path);
  file->path = dc_alloc(n + 1);
  file->temporary = dc_alloc(n + 64);
  if (file->path == NULL || file->temporary == NULL) return false;
  memcpy(file->path, path, n);
  return true;
}


/* O_EXCL: never a file, nor a link, that somebody else has put there. */
static int open_temporary (dc_outfile *file) {
  size_t size = strlen(file->path) + 64;
  for (int i = 0; i < TRIES; i++) {
    snprintf(file->temporary, size, "%s.%ld-%d.tmp", file->path,
             (long)getpid(), i);
    int fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                  0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}


static void forget (dc_outfile *file) {
  dc_free(file->path);
  dc_free(file->temporary);
  memset(file, 0, sizeof *file);
}


bool dc_outfile_open (dc_outfile *file, const char *path, dc_error *err) {
  struct stat info;
  memset(file, 0, sizeof *file);
  if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
    return dc_fail(err, "is there and no regular file");
  if (!keep_path(file, path)) {
    forget(file);
    return dc_fail(err, "not enough memory");
  }
  file->fd = open_temporary(file);
  if (file->fd < 0) {
    fail_with_errno("create a file beside it", err);
    forget(file);
    return false;
  }
  return true;
}


bool dc_outfile_write (dc_outfile *file, const void *data, size_t size,
                       dc_error *err) {
  const char *p = data;
  while (size > 0) {
    ssize_t n = write(file->fd, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = ENOSPC;
    if (n <= 0) return fail_with_errno("write", err);
    p += n;
    size -= (size_t)n;
    file->written += (uint64_t)n;
  }
  return true;
}


/* The new name is durable when its folder is. Where a folder cannot be
   opened or synced, the rename itself still holds. */
static void sync_folder (const char *path) {
  char folder[4096];
  const char *slash = strrchr(path, '/');
  size_t n = slash != NULL ? (size_t)(slash - path) + 1 : 0;
  if (n >= sizeof folder) return;
  memcpy(folder, path, n);
  strcpy(folder + n, ".");
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}


bool dc_outfile_commit (dc_outfile *file, dc_error *err) {
  if (fsync(file->fd) != 0) return fail_with_errno("sync", err);
  if (rename(file->temporary, file->path) != 0)
    return fail_with_errno("rename", err);
  sync_folder(file->path);
  close(file->fd);
  forget(file);
  return true;
}


void dc_outfile_close (dc_outfile *file) {
  if (file->temporary == NULL) return;
  close(file->fd);
  unlink(file->temporary);
  forget(file);
}
