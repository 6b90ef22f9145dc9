#!/usr/bin/env python3
"""tokenizer_speed.py [DATA]: how fast decant cuts texts, beside the libraries that
the files come from (`tokenizers`, `sentencepiece`), each on one thread, in CPU
seconds, on the same texts: sentences of Tatoeba one by one (each library in
the way that is fastest for it, a batch at once), and the same as one text of a
megabyte. DATA: the folder with tokenizers/ and tatoeba-deu-eng/.
"""
import gzip
import os
import subprocess
import sys
import tempfile
import time

sys.path.pop(0)  # this file is no library of its name
os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import sentencepiece  # noqa: E402
import tokenizers  # noqa: E402

FILES = ["gpt2.tokenizer.json", "bbpe-llama3.tokenizer.json",
         "spm-llama.model", "de-en.model", "hf.spiece.model"]


def texts(data):
    """English and German sentences in turn, up to a megabyte."""
    out, size = [], 0
    with gzip.open(data + "/tatoeba-deu-eng/deu.txt.gz", "rt") as file:
        for number, line in enumerate(file):
            if number % 7:  # they are sorted by length: take some of all
                continue
            for text in line.rstrip("\n").split("\t")[:2]:
                out.append(text)
                size += len(text.encode()) + 1
            if size >= 1 << 20:
                break
    return out


def best_of(run):
    best, tokens = float("inf"), 0
    for _ in range(5):
        began = time.process_time()
        tokens = run()
        best = min(best, time.process_time() - began)
    return best, tokens


def peer(path, lines):
    whole = " ".join(lines)
    if path.endswith(".json"):
        library = tokenizers.Tokenizer.from_file(path)
        library.no_truncation()

        def each():
            out = library.encode_batch(lines, add_special_tokens=False)
            return sum(len(e.ids) for e in out)

        def one():
            return len(library.encode(whole, add_special_tokens=False).ids)
    else:
        library = sentencepiece.SentencePieceProcessor(model_file=path)

        def each():
            return sum(map(len, library.encode(lines, num_threads=1)))

        def one():
            return len(library.encode(whole))
    return best_of(each), best_of(one)


def decant(path, lines):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        out = subprocess.run(["lua5.4", "bench/tokenizer_speed.lua", path,
                              file.name], capture_output=True, check=True)
    each, one, n_each, n_one = out.stdout.split()
    return (float(each), int(n_each)), (float(one), int(n_one))


def main():
    data = sys.argv[1] if len(sys.argv) > 1 else "../shared/data"
    lines = texts(data)
    megabytes = sum(len(line.encode()) + 1 for line in lines) / 1e6
    print("Tokenizers, one thread, CPU: %d sentences (%.2f MB), one by one "
          "and as one text. MB/s:\n" % (len(lines), megabytes))
    print("| file | decant, sentences | library | decant, one text | library "
          "|\n|---|---|---|---|---|")
    for name in FILES:
        path = data + "/tokenizers/" + name
        rows = [decant(path, lines), peer(path, lines)]
        speed = [["%.1f" % (megabytes / seconds) for seconds, _ in row]
                 for row in rows]
        # one text of a megabyte is beyond what float sums tell apart
        same = rows[0][0][1] == rows[1][0][1]
        print("| %s%s | %s | %s | %s | %s |" % (
            name, "" if same else " (OTHER TOKENS)", speed[0][0], speed[1][0],
            speed[0][1], speed[1][1]))


if __name__ == "__main__":
    main()
