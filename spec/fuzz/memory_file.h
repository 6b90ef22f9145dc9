/*
** memory_file.h: the bytes of a fuzzer as a file with a path, for readers that
** open paths. One file for all runs, written anew each time.
*/
#ifndef DC_MEMORY_FILE_H
#define DC_MEMORY_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static inline const char *memory_file (const uint8_t *bytes, size_t size) {
  static char path[64];
  static int file = -1;
  if (file < 0) {
    file = memfd_create("fuzz", 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  }
  if (file < 0 || ftruncate(file, 0) != 0 ||
      pwrite(file, bytes, size, 0) != (ssize_t)size)
    abort();
  return path;
}

#endif
