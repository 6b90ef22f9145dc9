#!/usr/bin/env python3
"""splits.py > splits.json: how the regular expressions of the pre-tokenizers
cut a few texts, by `tokenizers` 0.23.3. Which expressions belong to which name
is what llama.cpp has (src/llama-vocab.cpp); for gpt-4o and tekken those of the
original tokenizer.json. Run from the root of the repository.
"""
import json
import sys

from tokenizers import Regex
from tokenizers.pre_tokenizers import Sequence, Split

sys.path.insert(0, "src/text")
import unicode_classes  # noqa: E402


def cased():
    out = ""
    for item in unicode_classes.CASED.split():
        first, _, last = item.partition("-")
        out += chr(int(first, 16)) + ("-" + chr(int(last, 16)) if last else "")
    return out


GPT2 = (r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+"
        r"|\s+(?!\S)")
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = SHORT + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|" + REST
UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
JOIN = r"[^\r\n\p{L}\p{N}]?"
REST_4O = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CJK = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
BLOOM = (" ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+")


def cased_words(short, digits):
    return (JOIN + UPPER + "*" + LOWER + "+" + short + "|" + JOIN + UPPER + "+"
            + LOWER + "*" + short + "|" + digits + "|" + REST_4O)


FAMILIES = {
    "gpt-2": [GPT2],
    "llama-bpe": [LLAMA3],
    "qwen2": [LLAMA3.replace("{1,3}", "")],
    "starcoder": [r"\p{N}", GPT2],
    "falcon": [r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"],
    "default": [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+",
                "[0-9][0-9][0-9]"],
    "deepseek-llm": [
        "[\r\n]", r"\s?[" + cased() + "]+",
        "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f"
        "\u3000-\u3002]+", r"\s+$", CJK, r"\p{N}+"],
    "deepseek-coder": ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK,
                       r"\p{N}"],
    "deepseek-v3": [
        r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
        r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"
        r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
        r"\s*[\r\n]+|\s+(?!\S)|\s+"],
    "gpt-4o": [cased_words(SHORT + "?", r"\p{N}{1,3}")],
    "tekken": [cased_words("", r"\p{N}")],
    "bloom": [BLOOM],
    "viking": [BLOOM, r"\p{N}"],
}

TEXTS = [
    "Hello, world!  It's 12345 o'clock.",
    "I'LL we'Ve they're he'd 'S 's 'sS x'\u017f",
    "a  b   c\t\td \n e\r\n\r\n  f   ",
    " leading, trailing ",
    "\n\n \n  x\n",
    "1 22 333 4444 55555 \u0663\u0664 \xb2\xb3 \xbd",
    "x=1;y+=2;// a<b>c ~`^|$",
    "(foo) [bar] {baz} \"quux\" 'a' _b_ --c-- #d @e",
    "\xc4pfel \xfcber stra\xdfe \xc9T\xc9 na\xefve",
    "A\u0308pfel e\u0301 \u0301\u0301x",
    "\u0416\u0436 \u03a9\u03c9 \u01c5 \u02b0 \xaa\xba",
    "\u4e00\u4e8c\u4e09\u3001\u56db\u3002 \u304b\u306a \u30ab\u30ca",
    "\uac00\uac01 \ud55c\uae00\u4e00\u3000\u3000x",
    "\u0915\u093e\u092e \u0903\u03a9 \u0627\u0644\u060c \u0964",
    "\U0001f600\u200d\U0001f680 \u20ac5 \xa9\u2028y",
    "CamelCaseWORDSAndABCdef XMLHttpRequest iPhone\u01c5a",
    "it's/that\n//path/to/file.txt\n",
    "\u0085\u001c\u180e\u1680\u200b\ufeffz \u00a0 q",
    "\u2018quoted\u2019 \u201cwords\u201d \uff01\uff41\uff5e",
    "\u2026wait\u2026 what?! (no) a|b",
    "\U00010400\U00010428 \U0001d400 \u2126\u212a \u1fd3",
    "\u0000\u0001 tab\u007f",
]


def main():
    out = {"texts": TEXTS, "words": {}}
    for name, patterns in FAMILIES.items():
        split = Sequence([Split(Regex(p), "isolated") for p in patterns])
        out["words"][name] = [
            [word for word, _ in split.pre_tokenize_str(text)]
            for text in TEXTS]
    print(json.dumps(out, sort_keys=True))


if __name__ == "__main__":
    main()
