"""scores.py HF_DIR: BLEU and chrF of the held-out Tatoeba pairs.

decant (f32, f16 and q8_0, converted from HF_DIR by decant itself) translates
the whole held-out set in one `translate` call; transformers does the same with
the original weights. Greedy and beam 4. Needs sacrebleu, torch, transformers and
sentencepiece from PyPI; run from the root of the checkout.
"""
import os
import subprocess
import sys

import sacrebleu
import sentencepiece
import torch
from transformers import MarianMTModel

HF_DIR = sys.argv[1]
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT + '/models/training')
from prepare import split  # noqa: E402


def decant(path, sentences, beams):
    out = subprocess.run(['lua5.4', 'bench/translate.lua', path, str(beams)],
                         input='\n'.join(sentences), text=True, cwd=ROOT,
                         stdout=subprocess.PIPE, check=True).stdout
    return out.split('\n')[:len(sentences)]


def reference(sentences, beams):
    import json
    model = MarianMTModel.from_pretrained(HF_DIR).eval()
    sp = sentencepiece.SentencePieceProcessor(model_file=HF_DIR + '/source.spm')
    vocab = json.load(open(HF_DIR + '/vocab.json'))
    pieces = {i: p for p, i in vocab.items()}
    pad, out = model.config.pad_token_id, []
    for i in range(0, len(sentences), 32):
        rows = [[vocab.get(p, 1) for p in sp.encode(s, out_type=str)] + [0]
                for s in sentences[i:i + 32]]
        longest = max(map(len, rows))
        ids = torch.tensor([r + [pad] * (longest - len(r)) for r in rows])
        with torch.inference_mode():
            rows = model.generate(
                input_ids=ids, attention_mask=(ids != pad).long(),
                num_beams=beams, max_length=100, early_stopping=beams > 1)
        out += [sp.decode([pieces[t] for t in row.tolist()
                           if t not in (0, 1, pad)]) for row in rows]
    return out


def main():
    test = split(ROOT + '/../shared/data/tatoeba-deu-eng/deu.txt.gz')[2]
    german, english = zip(*test)
    candidates = [('transformers f32', lambda k: reference(german, k))]
    for kind in ('f32', 'f16', 'q8_0'):
        path = f'build/bench/de-en-{kind}.gguf'
        os.makedirs(ROOT + '/build/bench', exist_ok=True)
        subprocess.run(['bin/decant', 'convert', '--type', kind, HF_DIR, path],
                       cwd=ROOT, check=True)
        candidates.append((f'decant {kind}', lambda k, p=path:
                           decant(p, german, k)))
    print(len(test), 'held-out pairs')
    for beams in (1, 4):
        first = None
        for name, translate in candidates:
            out = translate(beams)
            first = first or out
            same = sum(a == b for a, b in zip(first, out))
            print('%-17s beams %d  BLEU %.2f  chrF %.2f  same as the first %d'
                  % (name, beams, sacrebleu.corpus_bleu(out, [english]).score,
                     sacrebleu.corpus_chrf(out, [english]).score, same),
                  flush=True)


if __name__ == '__main__':
    main()
