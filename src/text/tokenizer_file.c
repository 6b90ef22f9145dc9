/*
** tokenizer_file.c: a tokenizer from a path: a SentencePiece model, a GGUF
** file, a tokenizer.json, or a directory of Hugging Face.
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


static bool open_marian (dc_tokenizer **out, const char *path,
                         dc_error *err) {
  marian_files files = {0};
  if (has_file(path, "target_vocab.json"))
    return dc_fail(err, "%.400s: target_vocab.json: separate vocabularies are "
                   "not supported yet", path);
  bool ok = read_marian(out, path, &files, err);
  dc_file_close(&files.source);
  dc_file_close(&files.target);
  dc_file_close(&files.vocab);
  return ok;
}


/* ---- tokenizer.json ----------------------------------------------------- */

/* Beside NAMEtokenizer.json lies NAMEtokenizer_config.json, or nothing. */
static bool open_config (dc_file *config, const char *path, dc_error *err) {
  static const char json[] = "tokenizer.json";
  char beside[PATH_SIZE];
  struct stat info;
  if (!ends_with(path, json)) return true;
  int stem = (int)(strlen(path) - (sizeof json - 1));
  int n = snprintf(beside, sizeof beside, "%.*stokenizer_config.json", stem,
                   path);
  if (n < 0 || n >= PATH_SIZE || stat(beside, &info) != 0) return true;
  return dc_file_open(config, beside, false, err);
}


static bool read_json (dc_tokenizer **out, const char *path,
                       const dc_file *file, dc_error *err) {
  dc_file config = {0};
  if (!open_config(&config, path, err)) return false;
  bool ok = dc_tokenizer_from_json(out, whole(file), whole(&config), err) ||
            dc_fail_in(err, path);
  dc_file_close(&config);
  return ok;
}


/* ---- paths -------------------------------------------------------------- */

static bool open_file (dc_tokenizer **out, const char *path, dc_error *err);


static bool open_directory (dc_tokenizer **out, const char *path,
                            dc_error *err) {
  static const char *const names[] = {"tokenizer.json", "tokenizer.model"};
  char inner[PATH_SIZE];
  bool marian = has_file(path, "source.spm");
  for (int i = 0; i < 2 && !marian; i++)
    if (has_file(path, names[i]))
      return inside(inner, path, names[i], err) && open_file(out, inner, err);
  if (marian || has_file(path, "vocab.json"))
    return open_marian(out, path, err);
  return dc_fail(err, "%.400s: no tokenizer.json, no tokenizer.model, and not "
                 "the source.spm and vocab.json of Marian", path);
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


/* JSON begins with a brace, which no SentencePiece file does (a group). */
static bool is_json (const dc_file *file, const char *path) {
  return ends_with(path, ".json") || (file->size > 0 && file->data[0] == '{');
}


static bool open_file (dc_tokenizer **out, const char *path, dc_error *err) {
  dc_file file;
  if (!dc_file_open(&file, path, false, err)) return false;
  bool is_gguf = file.size >= 4 && !memcmp(file.data, "GGUF", 4), ok = true;
  if (is_json(&file, path))
    ok = read_json(out, path, &file, err);
  else if (!is_gguf)
    ok = dc_tokenizer_from_spm(out, file.data, file.size, path, err);
  dc_file_close(&file);
  return is_gguf ? open_gguf(out, path, err) : ok;
}


bool dc_tokenizer_open (dc_tokenizer **out, const char *path, dc_error *err) {
  struct stat info;
  *out = NULL;
  if (stat(path, &info) != 0)
    return dc_fail(err, "%.400s: %s", path, strerror(errno));
  return S_ISDIR(info.st_mode) ? open_directory(out, path, err)
                               : open_file(out, path, err);
}
