"""make_watermarks.py: what transformers 5.23 makes of watermarks, in files
beside this one.

detector.jsonl   WatermarkDetector on texts. Each second one is marked: its
                 tokens are drawn from the scores that WatermarkLogitsProcessor
                 makes of noise.
synthid.jsonl    series of calls of SynthIDTextWatermarkLogitsProcessor with
                 odd sizes of table and a short history.

    python make_watermarks.py
"""
import json
import random

import torch
from transformers import WatermarkingConfig, WatermarkDetector
from transformers.configuration_utils import PretrainedConfig
from transformers.generation.logits_process import (
    SynthIDTextWatermarkLogitsProcessor, WatermarkLogitsProcessor)

VOCAB = 64


def text(mark, length, noise):
    ids = [noise.randrange(VOCAB) for _ in range(5)]
    g = torch.Generator().manual_seed(noise.randrange(1 << 30))
    while len(ids) < length:
        scores = torch.randn(1, VOCAB, generator=g)
        if mark is not None:
            scores = mark(torch.tensor([ids]), scores)
        ids.append(int(torch.multinomial(scores.softmax(-1)[0], 1,
                                         generator=g)))
    return ids


def detector(file):
    noise = random.Random(4)
    model = PretrainedConfig(bos_token_id=1, vocab_size=VOCAB)
    model.is_encoder_decoder = False
    for i in range(24):
        args = dict(
            greenlist_ratio=noise.choice([0.25, 0.5, 0.3]),
            bias=noise.choice([2.0, 4.0]),
            hashing_key=noise.choice([15485863, 12345]),
            seeding_scheme=noise.choice(["lefthash", "selfhash"]),
            context_width=noise.choice([1, 1, 2, 3]))
        mark = WatermarkLogitsProcessor(VOCAB, "cpu", **args)
        ids = text(mark if i % 2 else None, noise.choice([12, 40, 90]), noise)
        if i % 5 == 0:
            ids[0] = 1  # the begin of sequence, which is not scored
        repeated = noise.random() < 0.5
        judge = WatermarkDetector(
            model, "cpu", WatermarkingConfig(**args),
            ignore_repeated_ngrams=repeated)
        found = judge(torch.tensor([ids]), z_threshold=3.0,
                         return_dict=True)
        file.write(json.dumps(dict(
            args=dict(args, vocab_size=VOCAB, bos_token_id=1,
                      ignore_repeated_ngrams=repeated),
            ids=ids,
            num_tokens_scored=int(found.num_tokens_scored[0]),
            num_green_tokens=int(found.num_green_tokens[0]),
            green_fraction=float(found.green_fraction[0]),
            z_score=float(found.z_score[0]),
            p_value=float(found.p_value[0]),
            prediction=bool(found.prediction[0]),
            confidence=float(found.confidence[0]))) + "\n")


def synthid(file):
    noise = torch.Generator().manual_seed(3)
    for size, seed, vocab, ngram in ((1000, 5, 12, 3), (77, 9, 20, 4),
                                     (1, 0, 8, 2), (65536, 0, 16, 1)):
        args = dict(ngram_len=ngram, keys=[654, 400, 836, 123, 340],
                    sampling_table_size=size, sampling_table_seed=seed,
                    context_history_size=4)
        mark = SynthIDTextWatermarkLogitsProcessor(
            device=torch.device("cpu"), **args)
        ids, calls = torch.randint(0, vocab, (1, 3), generator=noise), []
        for _ in range(12):
            scores = 2 * torch.randn(1, vocab, generator=noise)
            expected = mark(ids, scores)
            calls.append(dict(ids=ids[0].tolist(), scores=scores[0].tolist(),
                              expected=expected[0].tolist()))
            last = torch.randint(0, 2, (1, 1), generator=noise)
            ids = torch.cat([ids, last], 1)
        file.write(json.dumps(dict(args=args, calls=calls)) + "\n")


for make in (detector, synthid):
    with open(make.__name__ + ".jsonl", "w") as out:
        make(out)
