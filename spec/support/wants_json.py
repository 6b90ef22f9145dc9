#!/usr/bin/env python3
"""lua5.4 spec/support/tokenizer_json.lua | wants_json.py > wants_json.json:
what `tokenizers` 0.23.3 makes of a few texts with the small files of
tokenizer_json.lua."""
import json
import sys

from tokenizers import Tokenizer

TEXTS = {
    "byte_level": ["the hat", "that  tat", " t", "\u00e4te", "<s>th</s>", "h"],
    "added": ["a<user>b", "a <l> b", "a  <r>  b", "ab", "a ab a", "aab", "abb",
              "<user><user>", "<user><user><user>", "a<late>", "b<late>",
              "<stop>b<late><stop>", " <l><r> ", "<l", "aaaa<user>aaa"],
    "llama": ["ab", " ab", "a b", "abab  ba", "\u00e4", "a<s>b</s> a", "<unk>",
              "a\u20ac\u20acb"],
    "unigram": ["ab", "a  ba", "abab", "axxb", "a</s>b", "x"],
}
TEXTS["metaspace"] = TEXTS["llama"]


def main():
    out = {}
    for name, tree in json.load(sys.stdin).items():
        tokenizer = Tokenizer.from_str(json.dumps(tree))
        out[name] = []
        for text in TEXTS[name]:
            ids = tokenizer.encode(text).ids
            want = {"text": text, "ids": ids,
                    "decode_skip": tokenizer.decode(ids)}
            if name in ("byte_level", "added"):  # the others add spaces
                want["decode"] = tokenizer.decode(ids,
                                                  skip_special_tokens=False)
            out[name].append(want)
    print(json.dumps(out, sort_keys=True))


if __name__ == "__main__":
    main()
