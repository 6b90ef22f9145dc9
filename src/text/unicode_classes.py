#!/usr/bin/env python3
"""unicode_classes.py > unicode_classes.c: the table of character classes.

Which characters are letters, digits, spaces ... is asked of the regular
expressions of the Python package `tokenizers` (0.23.3: Unicode 16), the ones
that the pre-tokenizers of real files were written for. Nothing but this script
needs the package.
"""
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

# One bit each, in the order of enum dc_class in unicode_classes.h.
CLASSES = [
    ("letter", r"\p{L}"),
    ("number", r"\p{N}"),
    ("space", r"\s"),
    ("word", r"\w"),
    ("punctuation", r"\p{P}"),
    ("symbol", r"\p{S}"),
    ("mark", r"\p{M}"),
    ("upper", r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"),
    ("lower", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"),
]

# The letters of deepseek-llm's tokenizer.json, which lists them: those that
# have case, of an older Unicode and not quite all of them.
CASED = """41-5A 61-7A B5 C0-D6 D8-F6 F8-1BA 1BC-1BF 1C4-293 295-2AF 370-373
376-377 37B-37D 37F 386 388-38A 38C 38E-3A1 3A3-3F5 3F7-481 48A-52F 531-556
10A0-10C5 13A0-13F5 13F8-13FD 1C90-1CBA 1CBD-1CBF 1D00-1D2B 1D6B-1D77 1D79-1D9A
1E00-1F15 1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57 1F59 1F5B 1F5D 1F5F-1F7D
1F80-1FB4 1FB6-1FBC 1FBE 1FC2-1FC4 1FC6-1FCC 1FD0-1FD3 1FD6-1FDB 1FE0-1FEC
1FF2-1FF4 1FF6-1FFC 2102 2107 210A-2113 2115 2119-211D 2124 2126 2128 212A-212D
212F-2134 2139 213C-213F 2145-2149 214E 2183-2184 2C00-2C7B 2C7E-2CE4 2CEB-2CEE
2CF2-2CF3 A640-A66D A680-A69B A722-A76F A771-A787 A78B-A78E AB70-ABBF FB00-FB06
FB13-FB17 FF21-FF3A FF41-FF5A 10400-1044F 104B0-104D3 104D8-104FB 10C80-10CB2
10CC0-10CF2 118A0-118DF 1E900-1E943"""

LATIN = 384  # DC_N_LATIN

CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def members(pattern):
    """The code points of a class: where removing it leaves nothing."""
    split = Split(Regex(pattern), "removed")
    return {c for c in CODES if not split.pre_tokenize_str(chr(c))}


def cased():
    out = set()
    for item in CASED.split():
        first, _, last = item.partition("-")
        out.update(range(int(first, 16), int(last or first, 16) + 1))
    return out


def main():
    sets = [members(pattern) for _, pattern in CLASSES] + [cased()]
    bits_of = [sum(1 << i for i, s in enumerate(sets) if c in s)
               for c in range(0x110000)]
    changes, bits = [], None
    for c, now in enumerate(bits_of):
        if now != bits:
            changes.append(c << 11 | now)
            bits = now
    print("/* Written by unicode_classes.py; see there. */")
    print('#include "text/unicode_classes.h"\n')
    print("const uint16_t dc_latin_classes[DC_N_LATIN] = {")
    for i in range(0, LATIN, 12):
        print("  " + " ".join("%d," % b for b in bits_of[i:i + 12]))
    print("};\n")
    print("const size_t dc_n_class_changes = %d;\n" % len(changes))
    print("const uint32_t dc_class_changes[] = {")
    for i in range(0, len(changes), 6):
        print("  " + " ".join("0x%08X," % c for c in changes[i:i + 6]))
    print("};")


if __name__ == "__main__":
    main()
