# Values for spec/metrics_spec.lua, from sacreBLEU (2.6.0):
#   python spec/support/metrics.py

import sacrebleu

PAIRS = [
    ("the cat sat on the mat", "the cat sat on a mat"),
    ("The dog is running .", "The dog runs ."),
    ("a", "a"),
    ("Guten Morgen, Welt!", "Guten Abend, Welt!"),
    ("xyz", "abc"),
    ("the dark forest for the dark forest",
     "the old man walked home through the dark forest"),
    ("über das Öl", "über das Oel"),
]

for ours, theirs in PAIRS:
    chrf = sacrebleu.sentence_chrf(ours, [theirs]).score
    bleu = sacrebleu.sentence_bleu(ours, [theirs], use_effective_order=True)
    print("%r, %r, %.6f, %.6f" % (ours, theirs, chrf, bleu.score))
