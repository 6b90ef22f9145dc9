/*
** tokenizer_file.c: a tokenizer from a path: a SentencePiece model, a GGUF
** file, or the directory of a Marian model.
*/
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "text/tokenizer.h"

#define PATH_SIZE 4096

/* The three files of a Marian directory, while they are read. */
typedef struct marian_files {
  dc_file source, target, vocab;
} marian_files;


static bool ends_with (const char *path, const char *end) {
  size_t n = strlen(path), m = strlen(end);
  return n >= m && !strcmp(path + n - m, end);
}


static bool inside (char *path, const char *directory, const char *name,
                    dc_error *err) {
  int n = snprintf(path, PATH_SIZE, "%s/%s", directory, name);
  if (n >= 0 && n < PATH_SIZE) return true;
  return dc_fail(err, "%.400s: the path is too long", directory);
}


static bool has_file (const char *directory, const char *name) {
  char path[PATH_SIZE];
  struct stat info;
  return inside(path, directory, name, NULL) && stat(path, &info) == 0;
}


static bool open_inside (dc_file *file, const char *directory,
                         const char *name, dc_error *err) {
  char path[PATH_SIZE];
  return inside(path, directory, name, err) &&
         dc_file_open(file, path, false, err);
}


static dc_string whole (const dc_file *file) {
  return (dc_string){(const char *)file->data, file->size};
}


static bool read_marian (dc_tokenizer **out, const char *directory,
                         marian_files *files, dc_error *err) {
  dc_marian_parts parts = {0};
  if (!open_inside(&files->source, directory, "source.spm", err) ||
      !open_inside(&files->vocab, directory, "vocab.json", err))
    return false;
  if (has_file(directory, "target.spm") &&
      !open_inside(&files->target, directory, "target.spm", err))
    return false;
  if (!dc_marian_read_vocab(&parts, whole(&files->vocab), err)) {
    dc_marian_parts_free(&parts);
    return dc_fail_in(err, "vocab.json") || dc_fail_in(err, directory);
  }
  parts.files[DC_SOURCE] = whole(&files->source);
  parts.files[DC_TARGET] = whole(&files->target);
  return dc_tokenizer_from_marian(out, &parts, err) ||
         dc_fail_in(err, directory);
}


static bool open_directory (dc_tokenizer **out, const char *path,
                            dc_error *err) {
  marian_files files = {0};
  if (has_file(path, "target_vocab.json"))
    return dc_fail(err, "%.400s: target_vocab.json: separate vocabularies are "
                   "not supported yet", path);
  if (!has_file(path, "source.spm") && has_file(path, "tokenizer.json"))
    return dc_fail(err, "%.400s: tokenizer.json is not supported yet; a "
                   "Marian directory has source.spm and vocab.json", path);
  bool ok = read_marian(out, path, &files, err);
  dc_file_close(&files.source);
  dc_file_close(&files.target);
  dc_file_close(&files.vocab);
  return ok;
}


static bool open_gguf (dc_tokenizer **out, const char *path, dc_error *err) {
  dc_gguf *gguf = NULL;
  if (!dc_gguf_open(&gguf, path, true, err)) return false;
  bool ok = dc_tokenizer_from_gguf(out, gguf, err);
  if (ok && *out == NULL)
    ok = dc_fail(err, "%.400s: the file has no tokenizer", path);
  dc_gguf_close(gguf);
  return ok;
}


static bool open_file (dc_tokenizer **out, const char *path, dc_error *err) {
  dc_file file;
  if (!dc_file_open(&file, path, false, err)) return false;
  bool is_gguf = file.size >= 4 && !memcmp(file.data, "GGUF", 4);
  bool ok = is_gguf || dc_tokenizer_from_spm(out, file.data, file.size, path,
                                             err);
  dc_file_close(&file);
  return is_gguf ? open_gguf(out, path, err) : ok;
}


bool dc_tokenizer_open (dc_tokenizer **out, const char *path, dc_error *err) {
  struct stat info;
  *out = NULL;
  if (stat(path, &info) != 0)
    return dc_fail(err, "%.400s: %s", path, strerror(errno));
  if (S_ISDIR(info.st_mode)) return open_directory(out, path, err);
  if (ends_with(path, ".json"))
    return dc_fail(err, "%.400s: tokenizer.json is not supported yet", path);
  return open_file(out, path, err);
}
