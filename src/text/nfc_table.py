#!/usr/bin/env python3
"""nfc_table.py > nfc_table.c: what nfc.c needs of the Unicode Character
Database, from Python's own copy of it (3.11: Unicode 14; that of the library
which the tokenizer files were made with is no newer).
"""
import unicodedata

HANGUL = range(0xAC00, 0xD7A4)  # computed, not listed


def canonical(c):
    parts = unicodedata.decomposition(chr(c)).split()
    if not parts or parts[0].startswith("<") or c in HANGUL:
        return None
    codes = [int(part, 16) for part in parts] + [0]
    return codes[0], codes[1]


def table(kind, name, rows):
    print("const size_t dc_n_%s = %d;" % (name, len(rows)))
    print("const %s dc_%s[] = {" % (kind, name))
    for i in range(0, len(rows), 2):
        print("  " + " ".join("{%s}," % ", ".join("0x%X" % n for n in row)
                              for row in rows[i:i + 2]))
    print("};\n")


def main():
    split, joined, classes = [], [], []
    for c in range(0x110000):
        if 0xD800 <= c < 0xE000:
            continue
        pair = canonical(c)
        if pair:
            split.append((c,) + pair)
            if pair[1] and unicodedata.normalize("NFC", chr(c)) == chr(c):
                joined.append(pair + (c,))
        order = unicodedata.combining(chr(c))
        if not order:
            continue
        if classes and classes[-1][1] == c - 1 and classes[-1][2] == order:
            classes[-1][1] = c
        else:
            classes.append([c, c, order])
    print("/* Written by nfc_table.py; see there. */")
    print('#include "text/nfc.h"\n')
    table("dc_nfc_row", "nfc_split", split)
    table("dc_nfc_row", "nfc_joined", sorted(joined))
    table("dc_nfc_row", "nfc_classes", classes)


if __name__ == "__main__":
    main()
