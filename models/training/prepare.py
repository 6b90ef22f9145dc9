"""prepare.py PAIRS OUT: Tatoeba pairs -> train/valid/test.tsv, one
SentencePiece model for both sides and Marian's vocab.json.

The split is by a hash of the English side, letters only; every pair of train
whose German or English occurs in valid or test is dropped. Duplicates (by
letters) are dropped from valid and test. bench/scores.py imports the split.
"""
import gzip
import hashlib
import json
import shutil
import sys
import unicodedata


def clean(s):
    s = unicodedata.normalize('NFC', s)
    return ' '.join(s.replace('\u00a0', ' ').replace('\u202f', ' ').split())


def key(s):
    return ''.join(c for c in s.lower() if c.isalnum())


def bucket(s):
    return int(hashlib.sha256(key(s).encode()).hexdigest()[:8], 16) % 1000


def unique(rows):
    seen, kept = set(), []
    for de, en in rows:
        if key(de) not in seen and key(en) not in seen:
            seen |= {key(de), key(en)}
            kept.append((de, en))
    return kept


def split(pairs):
    """Path of `English<TAB>German` lines, gzip -> train, valid, test: lists
    of (German, English)."""
    rows = []
    for line in gzip.open(pairs, 'rt', encoding='utf8'):
        en, de = line.rstrip('\n').split('\t')[:2]
        rows.append((clean(de), clean(en)))
    test = [r for r in rows if bucket(r[1]) < 12]
    valid = [r for r in rows if 12 <= bucket(r[1]) < 18]
    held = {key(x) for r in test + valid for x in r}
    train = [r for r in rows if key(r[0]) not in held and key(r[1]) not in held]
    return train, unique(valid), unique(test)


def make_vocabulary(train, out):
    import sentencepiece as spm
    with open(f'{out}/text', 'w') as f:
        f.writelines(f'{de}\n{en}\n' for de, en in train)
    spm.SentencePieceTrainer.train(
        input=f'{out}/text', model_prefix=f'{out}/joint', vocab_size=8000,
        model_type='unigram', character_coverage=1.0, unk_id=0, bos_id=1,
        eos_id=2, pad_id=-1, num_threads=2, max_sentence_length=8192,
        input_sentence_size=400000, normalization_rule_name='nmt_nfkc')
    sp = spm.SentencePieceProcessor(model_file=f'{out}/joint.model')
    vocab = {'</s>': 0, '<unk>': 1}
    for i in range(sp.get_piece_size()):
        piece = sp.id_to_piece(i)
        if piece not in ('<unk>', '<s>', '</s>'):
            vocab[piece] = len(vocab)
    vocab['<pad>'] = len(vocab)
    with open(f'{out}/vocab.json', 'w') as f:
        json.dump(vocab, f, ensure_ascii=False, indent=0)
    for side in ('source', 'target'):
        shutil.copy(f'{out}/joint.model', f'{out}/{side}.spm')


if __name__ == '__main__':
    pairs, out = sys.argv[1:3]
    parts = split(pairs)
    for name, part in zip(('train', 'valid', 'test'), parts):
        with open(f'{out}/{name}.tsv', 'w') as f:
            f.writelines(f'{de}\t{en}\n' for de, en in part)
    make_vocabulary(parts[0], out)
    print(*(len(part) for part in parts), 'pairs to train, validate, test')
